// Package surface is what the surfaces have in common: APIs beside Penstock's own, in
// the shapes of vendors whose clients are to work unchanged. Each is a package below
// this one, an [http.Handler] that knows nothing of the server it is mounted in but
// what its [Caller] brings.
package surface

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Surface is the API of a vendor. The server that mounts it gives each request a name,
// finds out whose it is, bounds it, and tells of it in the log; the [Caller] is in the
// request's context.
type Surface interface {
	http.Handler
	// Routes lists what it serves as patterns of [http.ServeMux], each with a method.
	// What shares the first two segments of its path with one of them is the surface's:
	// where there is nothing, Refuse says so.
	Routes() []string
	// Refuse answers what the server has found about a request, in the surface's shape:
	// an error as [Known] takes it.
	Refuse(w http.ResponseWriter, r *http.Request, err error)
}

// Caller is who makes a request, and what the server has for it.
type Caller struct {
	Tenant string
	// RequestID is the name of the request. The server has set it as header.
	RequestID string
	// WriteTimeout bounds writing a piece of an answer that is a stream.
	WriteTimeout time.Duration
	Server       Server

	// What follows is for the log, set while the request is answered. Job, Batch and
	// File are what was asked for or made.
	Job, Batch, File uuid.UUID
	// Code and Failure are what went wrong, if anything did.
	Code    jobs.Code
	Failure error
	// Aborted says that the answer is not whole: the connection is closed.
	Aborted bool
}

// Server is what a server does for one request.
type Server interface {
	// ReadBody returns the body, which must be JSON and fit into the bounds. done is
	// called once it is not looked at any more; without error alone.
	ReadBody() (body []byte, done func(), err error)
	// Upload returns the body as it arrives, of whatever kind. It ends with an error of
	// code [CodeBodyTooLarge] behind limit bytes, and with another when nothing arrives
	// for long.
	Upload(limit int64) io.Reader
	// Wait takes one of the places of those who wait for jobs or follow them. ctx ends
	// with the request, and when the process is about to stop; leave must be called.
	// Without a place the error has code [CodeRateLimited] or [CodeStopping].
	Wait() (ctx context.Context, leave func(), err error)
}

type callerKey struct{}

// WithCaller returns ctx with the caller in it.
func WithCaller(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns the caller in ctx. It panics if there is none: a surface is served
// by a server.
func CallerOf(ctx context.Context) *Caller {
	return ctx.Value(callerKey{}).(*Caller) //nolint:forcetypeassert // as documented
}
