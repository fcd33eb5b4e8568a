package run_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue/queuetest"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
)

// rig is a runner over a store and providers made of functions. Without any
// set, a claim yields the work and every write succeeds.
type rig struct {
	t  *testing.T
	mu sync.Mutex

	work jobs.Work
	call func(ctx context.Context, req providers.Request) (providers.Response, error)

	claimed     func(jobs.Claim) error
	disclaimed  func(jobs.Claim) error
	finished    func(jobs.Outcome) ([]uuid.UUID, error)
	rescheduled func(jobs.Rescheduling) error
	// opens answers OpenCall: an error keeps a run to its first call.
	opens  func(jobs.Call) error
	closes func(jobs.Call) error
	beaten func(running []jobs.Task) ([]jobs.Task, error)

	claims    []jobs.Claim
	disclaims []jobs.Claim
	opened    []jobs.Call
	closed    []jobs.Call
	outcomes  []jobs.Outcome
	given     []jobs.Rescheduling
	beats     []jobs.Worker
	retired   []uuid.UUID
	attempts  []run.Attempt
	errs      []error
	panics    []string
	signals   []jobs.Signal
	requested []providers.Request

	queue  *queuetest.Queue
	runner *run.Runner
	worker jobs.Worker
	// stop ends Run's context; done is closed when Run has returned.
	stop context.CancelFunc
	done chan struct{}
}

// away is what a store says that is not reached.
var away = jobs.Unavailable(errors.New("connection refused"))

var answer = providers.Response{
	Body: json.RawMessage(`{"id":"x"}`), HTTPStatus: 200, RequestID: "req_1", Model: "m1-2026-01-31", TimeToFirstToken: 300 * time.Millisecond,
	Usage: providers.Usage{Known: true, InputTokens: 3, OutputTokens: 5},
}

// newRig returns a running rig. Its route default has two targets, its route
// single one; the work is on single and has an hour to go.
func newRig(t *testing.T, changes ...func(*run.Config)) *rig {
	t.Helper()
	g := &rig{
		t: t, queue: queuetest.New(), worker: jobs.Worker{ID: uuid.Must(uuid.NewV7()), Name: "w"}, done: make(chan struct{}),
		call: func(context.Context, providers.Request) (providers.Response, error) { return answer, nil },
	}
	g.work = jobs.Work{
		Task:   jobs.Task{Execution: uuid.Must(uuid.NewV7()), Fence: 3, Provider: "first"},
		Tenant: "acme", RequestHash: "hash", Endpoint: providers.ChatCompletions, Body: json.RawMessage(`{"secret":"prompt"}`),
		Route: "single", Provider: "first", Model: "m1", StopAt: time.Now().Add(time.Hour),
	}
	first, second := jobs.Target{Provider: "first", Model: "m1"}, jobs.Target{Provider: "second", Model: "m2"}
	timeouts := providers.Timeouts{Connect: time.Second, Total: 10 * time.Minute}
	cfg := run.Config{
		Store: g, Queue: g.queue, Signals: g.queue, Worker: g.worker,
		Catalog: jobs.NewCatalog([]jobs.Route{
			{Name: "single", Targets: []jobs.Target{first}, MaxAttempts: 5, Timeouts: timeouts, Patience: 5 * time.Second},
			{Name: "default", Targets: []jobs.Target{first, second}, MaxAttempts: 5, Timeouts: timeouts, Patience: 5 * time.Second},
		}, nil, jobs.Route{}),
		Providers:   map[string]providers.Provider{"first": provider{g}, "second": provider{g}},
		Concurrency: map[string]int{"first": 2, "second": 2},
		Observer: run.Observer{
			Ended:    func(a run.Attempt) { g.note(func() { g.attempts = append(g.attempts, a) }) },
			Error:    func(err error) { g.note(func() { g.errs = append(g.errs, err) }) },
			Panicked: func(_ jobs.Task, kind string, _ []byte) { g.note(func() { g.panics = append(g.panics, kind) }) },
		},
	}
	for _, change := range changes {
		change(&cfg)
	}
	var err error
	if g.runner, err = run.New(cfg); err != nil {
		t.Fatalf("New: %v", err)
	}
	g.start()
	return g
}

func (g *rig) start() {
	ctx, stop := context.WithCancel(g.t.Context())
	g.stop = stop
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		_ = g.queue.Listen(ctx, func(s jobs.Signal) {
			if len(s.Jobs) > 0 || s.Kind == jobs.SignalReady {
				g.note(func() { g.signals = append(g.signals, s) })
			}
		}, jobs.SignalReady, jobs.SignalEnded)
	}()
	synctest.Wait()
	g.note(func() { g.signals = nil })
	go func() {
		defer close(g.done)
		if err := g.runner.Run(ctx); err != nil {
			g.t.Errorf("Run = %v, want nil", err)
		}
	}()
	g.t.Cleanup(func() {
		stop()
		<-g.done
		<-listening
	})
}

func (g *rig) note(what func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	what()
}

// under returns one of g's fields.
func under[T any](g *rig, field *T) T {
	g.mu.Lock()
	defer g.mu.Unlock()
	return *field
}

// take hands the work to the runner and waits until nothing more happens
// without time passing.
func (g *rig) take() {
	g.t.Helper()
	if err := g.queue.Enqueue(g.t.Context(), []jobs.Task{under(g, &g.work).Task}); err != nil {
		g.t.Fatalf("enqueue: %v", err)
	}
	synctest.Wait()
}

// provider calls the rig's function.
type provider struct{ g *rig }

func (p provider) Call(
	ctx context.Context, req providers.Request, onChunk func(providers.Chunk),
) (providers.Response, error) {
	p.g.note(func() { p.g.requested = append(p.g.requested, req) })
	return under(p.g, &p.g.call)(context.WithValue(ctx, chunks{}, onChunk), req)
}

// chunks is where a call finds whom to tell of a piece.
type chunks struct{}

// piece tells of a piece of the answer, from within a call.
func piece(ctx context.Context, data string) {
	tell(ctx, providers.Chunk{Data: json.RawMessage(data), Token: true})
}

func tell(ctx context.Context, c providers.Chunk) { ctx.Value(chunks{}).(func(providers.Chunk))(c) }

// role tells of a piece that says nothing of the answer.
func role(ctx context.Context, data string) { tell(ctx, providers.Chunk{Data: json.RawMessage(data)}) }

// hang is a call that goes on until it is cancelled.
func hang(ctx context.Context, _ providers.Request) (providers.Response, error) {
	<-ctx.Done()
	return providers.Response{}, &providers.Error{
		Class: providers.Cancelled, Message: "the call was cancelled", Partial: "half an ans", Err: ctx.Err(),
	}
}

// failing is a call that fails so at once.
func failing(e providers.Error) func(context.Context, providers.Request) (providers.Response, error) {
	return func(context.Context, providers.Request) (providers.Response, error) { return providers.Response{}, &e }
}

func (g *rig) Claim(_ context.Context, c jobs.Claim) (jobs.Work, error) {
	g.note(func() { g.claims = append(g.claims, c) })
	if claimed := under(g, &g.claimed); claimed != nil {
		if err := claimed(c); err != nil {
			return jobs.Work{}, err
		}
	}
	w := under(g, &g.work)
	w.Task, w.Call = c.Task, c.Call
	return w, nil
}

func (g *rig) Disclaim(_ context.Context, c jobs.Claim) error {
	g.note(func() { g.disclaims = append(g.disclaims, c) })
	if disclaimed := under(g, &g.disclaimed); disclaimed != nil {
		return disclaimed(c)
	}
	return nil
}

func (g *rig) OpenCall(_ context.Context, _ uuid.UUID, c jobs.Call) error {
	g.note(func() { g.opened = append(g.opened, c) })
	if opens := under(g, &g.opens); opens != nil {
		return opens(c)
	}
	return nil
}

// refuses keeps a run to its first call.
func refuses(jobs.Call) error { return jobs.ErrStale }

func (g *rig) CloseCall(ctx context.Context, c jobs.Call) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if closes := under(g, &g.closes); closes != nil {
		if err := closes(c); err != nil {
			return err
		}
	}
	g.note(func() { g.closed = append(g.closed, c) })
	return nil
}

func (g *rig) Finish(_ context.Context, o jobs.Outcome) ([]uuid.UUID, error) {
	g.note(func() { g.outcomes = append(g.outcomes, o) })
	if finished := under(g, &g.finished); finished != nil {
		return finished(o)
	}
	return []uuid.UUID{o.Task.Execution}, nil
}

func (g *rig) Reschedule(_ context.Context, r jobs.Rescheduling) error {
	g.note(func() { g.given = append(g.given, r) })
	if rescheduled := under(g, &g.rescheduled); rescheduled != nil {
		return rescheduled(r)
	}
	return nil
}

func (g *rig) Beat(_ context.Context, w jobs.Worker, running []jobs.Task) ([]jobs.Task, error) {
	g.note(func() { g.beats = append(g.beats, w) })
	if beaten := under(g, &g.beaten); beaten != nil {
		return beaten(running)
	}
	return nil, nil
}

func (g *rig) Retire(_ context.Context, worker uuid.UUID) error {
	g.note(func() { g.retired = append(g.retired, worker) })
	return nil
}

// outcome returns the only outcome there is, and fails if there is another write.
func (g *rig) outcome() jobs.Outcome {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.outcomes) != 1 || len(g.given) != 0 {
		g.t.Fatalf("got outcomes %+v and reschedulings %+v, want one outcome", g.outcomes, g.given)
	}
	return g.outcomes[0]
}

// rescheduling returns the only rescheduling, likewise.
func (g *rig) rescheduling() jobs.Rescheduling {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.outcomes) != 0 || len(g.given) != 1 {
		g.t.Fatalf("got outcomes %+v and reschedulings %+v, want one rescheduling", g.outcomes, g.given)
	}
	return g.given[0]
}

// attempt returns the last attempt the observer was told of.
func (g *rig) attempt() run.Attempt {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.attempts) == 0 {
		g.t.Fatal("the observer was told of no attempt")
	}
	return g.attempts[len(g.attempts)-1]
}
