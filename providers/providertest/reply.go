package providertest

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/internal/memnet"
)

// Reply is a server's answer to any request. It is an http.Handler.
type Reply struct {
	// Status is the status. Default: 200.
	Status int
	Header map[string]string
	Pieces []Piece
	// End is what comes after the last piece.
	End End
}

// Piece is a part of a body, sent on its own.
type Piece struct {
	After time.Duration // the piece before
	Text  string
}

// End is how a reply ends.
type End int

// Ends of a reply.
const (
	Clean End = iota
	Cut       // the connection breaks
	Hang      // nothing more comes, until the caller is gone
)

// ServeHTTP sends the reply.
func (r Reply) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	_, _ = io.Copy(io.Discard, req.Body)
	for name, value := range r.Header {
		w.Header().Set(name, value)
	}
	status := r.Status
	if status == 0 {
		status = http.StatusOK
	}
	for i, piece := range r.Pieces {
		if !wait(req.Context(), piece.After) {
			return
		}
		if i == 0 {
			w.WriteHeader(status)
		}
		_, _ = io.WriteString(w, piece.Text)
		_ = http.NewResponseController(w).Flush()
	}
	if len(r.Pieces) == 0 && r.End != Cut {
		w.WriteHeader(status)
		_ = http.NewResponseController(w).Flush()
	}
	switch r.End {
	case Cut:
		panic(http.ErrAbortHandler)
	case Hang:
		<-req.Context().Done()
	case Clean:
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Dial serves handler in memory until the test ends and returns how to
// connect to it.
func Dial(t *testing.T, handler http.Handler) func(ctx context.Context, network, addr string) (net.Conn, error) {
	t.Helper()
	listener := memnet.Listen()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ends by Close
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		_ = server.Close()
		<-served
	})
	return listener.DialContext
}
