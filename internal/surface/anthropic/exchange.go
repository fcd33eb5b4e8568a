package anthropic

import (
	"context"
	"net/http"
	"time"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// exchange is one request and its answer.
type exchange struct {
	*surface.Caller

	w http.ResponseWriter
	r *http.Request
	// storeTimeout bounds one use of a service.
	storeTimeout time.Duration
}

// newExchange begins an answer: all have the name of the request where Anthropic's
// clients look for it.
func newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{Caller: surface.CallerOf(r.Context()), w: w, r: r}
	w.Header().Set("Request-Id", x.RequestID)
	return x
}

// storeContext bounds one use of a service by time, and by the request's end.
func (x *exchange) storeContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(x.r.Context(), x.storeTimeout)
}

// left reports whether the client has closed its connection.
func (x *exchange) left() bool { return x.r.Context().Err() != nil }

// fail answers with err. To a client that left, nothing is said.
func (x *exchange) fail(err error) {
	if x.left() {
		x.Aborted = true
		return
	}
	e := surface.Known(err)
	x.Code, x.Failure = e.Code, err
	x.refuse(failureOf(e))
}

// failJob answers that the job has no answer.
func (x *exchange) failJob(job jobs.Job) {
	f := failureOfJob(job)
	x.Code = f.code
	x.refuse(f)
}

// refuse answers with a failure.
func (x *exchange) refuse(f failure) {
	f.setHeaders(x.w.Header())
	x.write(f.status, f.body(x.RequestID))
}

// write answers with what can be said in JSON.
func (x *exchange) write(status int, v any) {
	if err := surface.WriteJSON(x.w, status, v); err != nil {
		x.Failure, x.Aborted = err, true
	}
}
