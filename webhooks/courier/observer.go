package courier

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// Observer is told what a courier does, for logs and metrics. Any field may be nil. The
// functions are called from several goroutines and must not block.
type Observer struct {
	// Attempted is told of each attempt that has ended.
	Attempted func(a Attempted)
	// Opened is told of a breaker that has opened, and until when it lets nothing pass;
	// Closed of one that has closed: traffic comes back.
	Opened func(endpoint uuid.UUID, tenant string, until time.Time)
	Closed func(endpoint uuid.UUID, tenant string)
	// Failing is told of an endpoint whose tenant is warned, and since when it has failed.
	Failing func(endpoint uuid.UUID, tenant string, since time.Time)
	// Disabled is told of an endpoint that is disabled.
	Disabled func(endpoint uuid.UUID, tenant string, why delivery.Reason)
	// Held is told how many endpoints this process holds, and how many attempts wait to
	// be recorded: again and again.
	Held func(endpoints, unrecorded int)
	// Error is told of what the store refused to do: at once, then at most once a minute
	// until it works again. It carries no body, no secret and no URL.
	Error func(err error)
}

// Attempted is an attempt as logs and metrics tell of it.
type Attempted struct {
	Delivery uuid.UUID
	Endpoint uuid.UUID
	Tenant   string
	Type     string
	// N counts the delivery's attempts, from 1.
	N       int
	Trigger delivery.Trigger
	Queue   Queue
	Verdict delivery.Verdict
	Failure delivery.Failure
	// Status is that of HTTP; zero: there was no answer.
	Status  int
	Latency time.Duration
	// Lag is how long it was due when the attempt began.
	Lag time.Duration
	// Left is the delivery's status from now on, and Next when it is due if that is
	// pending.
	Left delivery.Status
	Next time.Time
}

func (o Observer) attempted(a Attempted) {
	if o.Attempted != nil {
		o.Attempted(a)
	}
}

func (o Observer) opened(e delivery.Endpoint, until time.Time) {
	if o.Opened != nil {
		o.Opened(e.ID, e.Tenant, until)
	}
}

func (o Observer) closed(e delivery.Endpoint) {
	if o.Closed != nil {
		o.Closed(e.ID, e.Tenant)
	}
}

func (o Observer) failing(e delivery.Endpoint, since time.Time) {
	if o.Failing != nil {
		o.Failing(e.ID, e.Tenant, since)
	}
}

func (o Observer) disabled(e delivery.Endpoint, why delivery.Reason) {
	if o.Disabled != nil {
		o.Disabled(e.ID, e.Tenant, why)
	}
}

func (o Observer) held(endpoints, unrecorded int) {
	if o.Held != nil {
		o.Held(endpoints, unrecorded)
	}
}

// reportEvery is how often what keeps failing is told.
const reportEvery = time.Minute

// troubles are those that were told of.
type troubles struct {
	mu   sync.Mutex
	told time.Time
}

// report tells of an error, unless one was told of a short while ago or ctx has ended.
func (c *Courier) report(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil || c.cfg.Observer.Error == nil {
		return
	}
	c.troubles.mu.Lock()
	soon := time.Since(c.troubles.told) < reportEvery
	if !soon {
		c.troubles.told = time.Now()
	}
	c.troubles.mu.Unlock()
	if !soon {
		c.cfg.Observer.Error(err)
	}
}
