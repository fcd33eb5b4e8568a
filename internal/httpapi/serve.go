package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"
)

// Bounds of what a connection may cost before a request is known.
const (
	readHeaderTimeout = 10 * time.Second
	maxHeaderBytes    = 64 << 10
)

// Serve answers on l until ctx ends, and closes l. Then it answers those who
// wait for jobs, lets requests under way finish within DrainTimeout, and
// returns nil; an error says that some did not, or that l failed.
func (a *API) Serve(ctx context.Context, l net.Listener) error {
	// Requests under way outlive ctx: it ends accepting, not them.
	base := context.WithoutCancel(ctx)
	server := &http.Server{
		Handler:           a,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       a.cfg.IdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          log.New(a.cfg.Log, "", 0),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return errors.Join(fmt.Errorf("serve %s: %w", l.Addr(), err), server.Close())
	case <-ctx.Done():
	}
	err := a.drain(base, server)
	if end := <-served; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve %s: %w", l.Addr(), end))
	}
	return err
}

// drain stops server in good order.
func (a *API) drain(ctx context.Context, server *http.Server) error {
	a.draining.Store(true)
	if a.cfg.DrainDelay > 0 {
		<-time.After(a.cfg.DrainDelay)
	}
	a.waiters.close()
	ctx, cancel := context.WithTimeout(ctx, a.cfg.DrainTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("finish requests within %s: %w", a.cfg.DrainTimeout, err), server.Close())
	}
	a.streams.Wait() // each ends at its next write, which is bounded
	return nil
}
