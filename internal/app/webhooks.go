package app

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/webhooks/courier"
	"github.com/penstock-dev/penstock/webhooks/delivery"
	"github.com/penstock-dev/penstock/webhooks/guard"
)

// webhooks is what a process has of them. An API has no courier, a worker no service.
type webhooks struct {
	store   delivery.Store
	service *delivery.Service
	courier *courier.Courier
	// lanes tells tenants of what happens to lanes; nil where nothing is run.
	lanes *laneTeller
}

// buildWebhooks makes what takes endpoints in, and what sends to them.
func (p *parts) buildWebhooks(c Config, store delivery.Store, holder uuid.UUID, o *observed) error {
	p.webhooks.store = store
	judge, err := guard.New(c.guard())
	if err != nil {
		return err
	}
	if c.Role.serves() {
		p.webhooks.service, err = delivery.NewService(delivery.ServiceConfig{
			Store: store, Guard: judge, Allowed: c.File.allowed(), Changed: p.webhooksChanged,
		})
		if err != nil {
			return err
		}
	}
	if !c.Role.runs() {
		return nil
	}
	transport := judge.Transport()
	p.closers = append(p.closers, func() error { transport.CloseIdleConnections(); return nil })
	p.webhooks.courier, err = courier.New(courier.Config{
		Store: store, Sender: delivery.NewSender(transport, release()), Holder: holder, PublicURL: c.PublicURL,
		Queues: c.File.Webhooks.queues(), Retention: c.File.Retention, Poll: c.pollInterval(), Observer: o.courier(),
	})
	p.webhooks.lanes = newLaneTeller(store, c.File.Webhooks.OperatorTenant, o.failed("lane events"))
	return err
}

// webhooksChanged tells couriers, in all processes.
func (p *parts) webhooksChanged(ctx context.Context, endpoints ...uuid.UUID) {
	_ = p.signals.Send(ctx, jobs.Signal{Kind: jobs.SignalWebhooks, Endpoints: endpoints}) // lost, it costs a look
}

// hear passes signals on to the courier.
func (w *webhooks) hear(s jobs.Signal) {
	switch {
	case w.courier == nil:
	case s.Kind == jobs.SignalEnded:
		w.courier.Wake()
	case s.Kind == jobs.SignalWebhooks:
		w.courier.Changed(s.Endpoints...)
	}
}

// observe has lanes that open and close told of.
func (w *webhooks) observe(o run.Observer) run.Observer {
	told := o.Ended
	o.Ended = func(a run.Attempt) {
		told(a)
		w.lanes.observe(a)
	}
	return o
}

// laneTeller writes events of lanes that open and close.
type laneTeller struct {
	store  delivery.EndpointStore
	tenant string
	report func(error)
	told   chan delivery.Event
}

// untold is how many events may wait to be written. A lane opens and closes once in
// many seconds.
const untold = 256

func newLaneTeller(store delivery.EndpointStore, tenant string, report func(error)) *laneTeller {
	return &laneTeller{store: store, tenant: tenant, report: report, told: make(chan delivery.Event, untold)}
}

// laneTold is what an event tells of a lane.
type laneTold struct {
	Object   string `json:"object"`
	Provider string `json:"provider"`
	Model    string `json:"model"`
	// OpenForMS is until when nothing is sent, in milliseconds from the event on.
	OpenForMS int64 `json:"open_for_ms,omitempty"`
}

// observe notes what a call did to its lane: opened or closed it. It never blocks.
func (l *laneTeller) observe(a run.Attempt) {
	told := laneTold{Object: "lane", Provider: a.Call.Provider, Model: a.Call.Model}
	e := delivery.Event{Tenant: l.tenant, CreatedAt: now(), Trigger: delivery.TriggerEvent}
	switch {
	case a.Lane.Opened.Number == 1: // later ones are of probes that failed
		e.Type, told.OpenForMS = delivery.LaneOpened, a.Lane.Opened.For.Milliseconds()
	case a.Lane.Closed:
		e.Type = delivery.LaneClosed
	default:
		return
	}
	var err error
	if e.ID, err = delivery.NewEventID(e.CreatedAt); err == nil {
		e.Data, err = json.Marshal(told)
	}
	if err != nil {
		l.report(err)
		return
	}
	select {
	case l.told <- e:
	default:
	}
}

// run writes the events until ctx ends. One that cannot be written is tried again for a
// while.
func (l *laneTeller) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-l.told:
			l.tell(ctx, e)
		}
	}
}

func (l *laneTeller) tell(ctx context.Context, e delivery.Event) {
	const tries, pause = 60, 5 * time.Second
	for n := 1; ; n++ {
		_, err := l.store.Tell(ctx, e)
		if err == nil || ctx.Err() != nil {
			return
		}
		if n == tries {
			l.report(err)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
