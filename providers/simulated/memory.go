package simulated

import (
	"context"
	"net"
	"net/http"
	"syscall"
	"time"
)

// dial connects over memory. The first dial starts the server behind it. In an
// outage that refuses connections it fails as a dead port does.
func (s *Server) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	s.listen.Do(s.serveMemory)
	if o := s.Faults().outageAt(s.started, time.Now()); o != nil && o.Mode == Refuse {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	return s.listener.DialContext(ctx, network, addr)
}

func (s *Server) serveMemory() {
	s.inner = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(s.served)
		_ = s.inner.Serve(s.listener) // ends when Close closes the listener
	}()
}
