package courier

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/internal/memnet"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// rig is couriers in a bubble, over one store.
type rig struct {
	t     *testing.T
	store *store
	mu    sync.Mutex
	// attempted is what observers were told, in its order.
	attempted []Attempted
	facts     []string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return &rig{t: t, store: newStore()}
}

// running is a courier that runs.
type running struct {
	*Courier

	stop func()
	over chan struct{}
}

// start starts a courier that sends with s. It is stopped with the test.
func (r *rig) start(s Sender, adjust ...func(*Config)) *running {
	r.t.Helper()
	cfg := Config{
		Store: r.store, Sender: s, Holder: uuid.New(), PublicURL: "https://penstock.example.com",
		Observer: Observer{
			Attempted: func(a Attempted) { r.mu.Lock(); defer r.mu.Unlock(); r.attempted = append(r.attempted, a) },
			Opened:    func(uuid.UUID, string, time.Time) { r.fact("opened") },
			Closed:    func(uuid.UUID, string) { r.fact("closed") },
			Failing:   func(uuid.UUID, string, time.Time) { r.fact("failing") },
			Disabled:  func(_ uuid.UUID, _ string, why delivery.Reason) { r.fact("disabled: " + string(why)) },
		},
	}
	for _, a := range adjust {
		a(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	run := &running{Courier: c, over: make(chan struct{})}
	go func() {
		defer close(run.over)
		if err := c.Run(ctx); err != nil {
			r.t.Error(err)
		}
	}()
	run.stop = func() { cancel(); <-run.over }
	r.t.Cleanup(run.stop)
	return run
}

func (r *rig) fact(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.facts = append(r.facts, what)
}

// told returns what observers were told of endpoints.
func (r *rig) told() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.facts)
}

// seldom is for tests of days: nothing is looked for that nobody tells of.
func seldom(c *Config) { c.Poll = time.Hour }

// sends is a Sender that a function is.
type sends func(ctx context.Context, m delivery.Message) delivery.Attempt

func (s sends) Send(ctx context.Context, m delivery.Message) delivery.Attempt { return s(ctx, m) }

var (
	good = delivery.Attempt{Verdict: delivery.Delivered, Status: 200, Latency: time.Millisecond}
	bad  = delivery.Attempt{Verdict: delivery.Failed, Failure: delivery.FailureStatus, Status: 500, Latency: time.Millisecond}
	dead = delivery.Attempt{Verdict: delivery.Failed, Failure: delivery.FailureConnect, Latency: time.Millisecond}
)

// takes answers after a while.
func takes(ctx context.Context, d time.Duration, a delivery.Attempt) delivery.Attempt {
	select {
	case <-time.After(d):
		a.Latency = d
		return a
	case <-ctx.Done():
		return delivery.Attempt{Verdict: delivery.Broken}
	}
}

// hangs is an endpoint that takes the message and never answers.
func hangs(ctx context.Context, m delivery.Message) delivery.Attempt {
	return takes(ctx, m.Timeout, delivery.Attempt{Verdict: delivery.Failed, Failure: delivery.FailureTimeout})
}

// receiver is a server of HTTP inside a bubble, and what sends to it.
func receiver(t *testing.T, handle http.HandlerFunc) *delivery.Sender {
	t.Helper()
	l := memnet.Listen()
	server := &http.Server{Handler: handle, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	transport := &http.Transport{DialContext: l.DialContext, MaxIdleConnsPerHost: 100}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		<-done
	})
	return delivery.NewSender(transport, "test")
}

var errAway = jobs.Unavailable(errors.New("cut off"))
