package dispatch

import (
	"context"
	"fmt"
	"time"
)

// Observer is told what a dispatcher does, for logs and metrics. Any field may
// be nil. The functions are called from the dispatcher's own goroutine and must
// not block. Nothing they are given holds a prompt, an answer or a secret.
type Observer struct {
	// Error is told of a failure of the store or the queue: of the first of a
	// row of failures, until something worked again.
	Error func(err error)
	// UnknownRoute is told of a route that has executions waiting and cannot be
	// served, at most once a minute for each. The error says what to do.
	UnknownRoute func(route string, err error)
	// Released is told how many executions a provider has been given.
	Released func(provider string, n int)
	// Pass is told how long a pass took that found something to release.
	Pass func(took time.Duration, released int)
	// Leading is told when this process becomes or ceases to be the dispatcher.
	Leading func(yes bool)
}

func (o Observer) error(err error) {
	if o.Error != nil {
		o.Error(err)
	}
}

func (o Observer) unknownRoute(route string, err error) {
	if o.UnknownRoute != nil {
		o.UnknownRoute(route, err)
	}
}

func (o Observer) released(provider string, n int) {
	if o.Released != nil {
		o.Released(provider, n)
	}
}

func (o Observer) pass(took time.Duration, released int) {
	if o.Pass != nil {
		o.Pass(took, released)
	}
}

func (o Observer) leading(yes bool) {
	if o.Leading != nil {
		o.Leading(yes)
	}
}

const (
	// routeReportEvery is how often the same unknown route is reported.
	routeReportEvery = time.Minute
	// routeReports bounds how many unknown routes are remembered.
	routeReports = 1024
)

// reports remembers what has been reported, so that an outage is not a flood.
type reports struct {
	failing  bool
	queueing bool
	guessing bool
	routes   map[string]time.Time
}

// failure reports the first of a row of failures; the end of ctx is none.
func (r *reports) failure(ctx context.Context, o Observer, err error) {
	if !r.failing && ctx.Err() == nil {
		o.error(err)
	}
	r.failing = true
}

func (r *reports) recovered() { r.failing = false }

// enqueued reports the first of a row of failures to enqueue.
func (r *reports) enqueued(o Observer, tasks int, err error) {
	if err != nil && !r.queueing {
		o.error(fmt.Errorf("enqueue %d released tasks; they are released again when the queue is back: %w", tasks, err))
	}
	r.queueing = err != nil
}

// lanes reports the first of a row of failures to know all lanes; those that are
// not known let nothing through.
func (r *reports) lanes(ctx context.Context, o Observer, err error) {
	if err != nil && !r.guessing && ctx.Err() == nil {
		o.error(fmt.Errorf("know all lanes: %w", err))
	}
	r.guessing = err != nil
}

// unknown reports a route that cannot be served, at most once a minute.
func (r *reports) unknown(o Observer, route string, err error) {
	now := time.Now()
	if at, ok := r.routes[route]; ok && now.Sub(at) < routeReportEvery {
		return
	}
	if len(r.routes) >= routeReports {
		clear(r.routes)
	}
	r.routes[route] = now
	o.unknownRoute(route, err)
}
