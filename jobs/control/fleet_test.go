package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/control"
	"github.com/penstock-dev/penstock/jobs/dispatch"
	"github.com/penstock-dev/penstock/jobs/queue/queuetest"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/storage/sqlite"
	"github.com/penstock-dev/penstock/storage/sqlite/sqlitetest"
	"github.com/penstock-dev/penstock/storage/storagetest"
)

// fleet is several processes over one real store and one queue.
type fleet struct {
	t       *testing.T
	store   *sqlite.Store
	queue   *queuetest.Queue
	catalog *jobs.Catalog
	// away cuts every process off from the store.
	away atomic.Bool
	// call is what the provider does, in which process.
	call func(ctx context.Context, p *process, req providers.Request) (providers.Response, error)

	mu    sync.Mutex
	calls []callMade
	jobs  []jobs.Job
}

type callMade struct {
	by  *process
	key string
	at  time.Time
}

// process is one that does all: dispatches, runs, controls.
type process struct {
	f    *fleet
	name string
	// dead cuts this process off from store and queue: to all others it is as
	// dead as by kill -9. blind cuts it off from the store alone, mute from the
	// queue alone.
	dead, blind, mute atomic.Bool
	kill              context.CancelFunc
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: sqlitetest.File(t), Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	target := jobs.Target{Provider: "sim", Model: "m"}
	return &fleet{
		t: t, store: store, queue: queuetest.New(),
		catalog: jobs.NewCatalog([]jobs.Route{{
			Name: "default", Targets: []jobs.Target{target}, MaxAttempts: 5, Timeouts: jobs.DefaultTimeouts(),
		}}, nil, jobs.Route{}),
		call: func(context.Context, *process, providers.Request) (providers.Response, error) { return whole, nil },
	}
}

var whole = providers.Response{Body: json.RawMessage(`{"ok":true}`), HTTPStatus: 200}

// start starts a process with so many places for calls.
func (f *fleet) start(name string, concurrency int) *process {
	f.t.Helper()
	p := &process{f: f, name: name}
	id := uuid.Must(uuid.NewV7())
	store, queue := storagetest.Cut{Store: f.store, Before: p.cut}, &queuetest.Cut{Queue: f.queue, Before: p.muted}
	ctx, stop := context.WithCancel(f.t.Context())
	alive, kill := context.WithCancel(ctx)
	queue.Killed = alive.Done()
	p.kill = func() {
		p.dead.Store(true)
		kill()
	}
	dispatcher, err := dispatch.New(dispatch.Config{
		Store: store, Queue: queue, Catalog: f.catalog, Pools: map[string]int{"sim": 20}, Holder: id,
	})
	f.must(err)
	runner, err := run.New(run.Config{
		Store: store, Queue: queue, Signals: queue, Catalog: f.catalog, Worker: jobs.Worker{ID: id, Name: name},
		Providers: map[string]providers.Provider{"sim": p}, Concurrency: map[string]int{"sim": concurrency},
		DrainTimeout: time.Second, FlushTimeout: time.Second,
	})
	f.must(err)
	controller, err := control.New(control.Config{Store: store, Queue: queue, Signals: queue, Holder: id})
	f.must(err)
	var parts sync.WaitGroup
	for _, part := range []func(context.Context) error{
		dispatcher.Run, runner.Run, controller.Run,
		func(ctx context.Context) error {
			return f.queue.Listen(ctx, func(s jobs.Signal) {
				dispatcher.WakeAt(s.At)
				runner.Stop(s.Executions)
			}, jobs.SignalReady, jobs.SignalStopped)
		},
	} {
		parts.Go(func() { f.check(part(ctx)) })
	}
	f.t.Cleanup(func() {
		stop()
		parts.Wait()
	})
	return p
}

func (f *fleet) check(err error) {
	if err != nil {
		f.t.Errorf("a part returned %v, want nil", err)
	}
}

func (f *fleet) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// Call implements [providers.Provider].
func (p *process) Call(
	ctx context.Context, req providers.Request, _ func(providers.Chunk),
) (providers.Response, error) {
	p.f.mu.Lock()
	p.f.calls = append(p.f.calls, callMade{p, req.IdempotencyKey, time.Now()})
	p.f.mu.Unlock()
	return p.f.call(ctx, p, req)
}

// made returns the calls made so far.
func (f *fleet) made() []callMade {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// submit takes n jobs in that have so long.
func (f *fleet) submit(n int, tenant string, left time.Duration) []jobs.Job {
	f.t.Helper()
	var all []jobs.Job
	for range n {
		now := time.Now().UTC()
		s, err := f.store.Submit(f.t.Context(), jobs.Submission{
			Job: jobs.Job{
				ID: uuid.Must(uuid.NewV7()), Tenant: tenant, Endpoint: providers.ChatCompletions, Model: "default",
				Deadline: now.Add(left), CreatedAt: now, RequestHash: fmt.Sprintf("%064d", len(f.jobs)),
			},
			Request: jobs.Request{
				Endpoint: providers.ChatCompletions, Route: "default", Body: json.RawMessage(`{}`), Cost: 100,
			},
			Execution: uuid.Must(uuid.NewV7()), Dedupe: true,
		})
		f.must(err)
		f.jobs = append(f.jobs, s.Job)
		all = append(all, s.Job)
	}
	f.must(f.queue.Send(f.t.Context(), jobs.Signal{Kind: jobs.SignalReady}))
	return all
}

// job returns the job as it is now.
func (f *fleet) job(j jobs.Job) jobs.Job {
	f.t.Helper()
	now, err := f.store.Job(f.t.Context(), j.Tenant, j.ID)
	f.must(err)
	return now
}

// allEnded asserts that every job ended so, told of it once, and used no try.
func (f *fleet) allEnded(want jobs.Status) {
	f.t.Helper()
	for _, j := range f.jobs {
		now := f.job(j)
		events, err := f.store.Events(f.t.Context(), j.Tenant, j.ID)
		f.must(err)
		if now.Status != want || len(events) != 1 || now.Tries != 0 {
			f.t.Errorf("job %s is %s (%+v) with %d events and %d tries, want %s, 1 and 0",
				j.ID, now.Status, now.Error, len(events), now.Tries, want)
		}
	}
}

var errCut = jobs.Unavailable(errors.New("cut off"))

// cut returns an error when the process reaches nothing.
func (p *process) cut() error {
	if p.dead.Load() || p.blind.Load() || p.f.away.Load() {
		return errCut
	}
	return nil
}

// muted returns an error when the process does not reach the queue.
func (p *process) muted() error {
	if p.dead.Load() || p.mute.Load() {
		return errCut
	}
	return nil
}
