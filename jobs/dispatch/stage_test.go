//go:build !race

package dispatch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
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
)

// stage is a process with all real parts but the queue and the provider, whose
// calls take a while and whose starts are written down.
type stage struct {
	t       *testing.T
	store   *sqlite.Store
	queue   *queuetest.Queue
	service *jobs.Service
	// rnd and all belong to the test.
	rnd *rand.Rand
	all []jobs.Job

	mu sync.Mutex
	// took is how long calls take.
	took   *rand.Rand
	begun  map[uuid.UUID]begun
	starts int
}

// begun is when an execution started first, and as which of all.
type begun struct {
	at time.Time
	n  int
}

// newStage returns a running stage with so many places, all of them a worker's. Its
// route has a target and a lesser one.
func newStage(t *testing.T, places int, changes ...func(*dispatch.Config)) *stage {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: sqlitetest.File(t), Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	queue := queuetest.New()
	catalog := jobs.NewCatalog([]jobs.Route{{
		Name: "default", Targets: []jobs.Target{{Provider: "sim", Model: "m"}}, MaxAttempts: 5,
		Timeouts: jobs.DefaultTimeouts(), Degraded: []jobs.Target{{Provider: "lesser", Model: "m"}},
	}}, nil, jobs.Route{})
	s := &stage{
		t: t, store: store, queue: queue, service: jobs.NewService(store, queue, catalog),
		rnd: rand.New(rand.NewPCG(1, 2)), took: rand.New(rand.NewPCG(3, 4)), begun: make(map[uuid.UUID]begun),
	}
	s.start(catalog, places, changes...)
	return s
}

func (s *stage) start(catalog *jobs.Catalog, places int, changes ...func(*dispatch.Config)) {
	s.t.Helper()
	id, pools := uuid.Must(uuid.NewV7()), map[string]int{"sim": places, "lesser": places}
	cfg := dispatch.Config{
		Store: s.store, Queue: s.queue, Signals: s.queue, Catalog: catalog, Pools: pools, Holder: id,
	}
	for _, change := range changes {
		change(&cfg)
	}
	dispatcher, err := dispatch.New(cfg)
	s.must(err)
	runner, err := run.New(run.Config{
		Store: s.store, Queue: s.queue, Signals: s.queue, Catalog: catalog, Worker: jobs.Worker{ID: id, Name: "w"},
		Providers: map[string]providers.Provider{"sim": s, "lesser": s}, Concurrency: pools,
		DrainTimeout: time.Second, FlushTimeout: time.Second,
	})
	s.must(err)
	controller, err := control.New(control.Config{Store: s.store, Queue: s.queue, Signals: s.queue, Holder: id})
	s.must(err)
	ctx, stop := context.WithCancel(s.t.Context())
	var parts sync.WaitGroup
	for _, part := range []func(context.Context) error{
		dispatcher.Run, runner.Run, controller.Run, s.service.Run,
		func(ctx context.Context) error {
			return s.queue.Listen(ctx, func(signal jobs.Signal) {
				dispatcher.WakeAt(signal.At)
				runner.Stop(signal.Executions)
			}, jobs.SignalReady, jobs.SignalStopped)
		},
	} {
		parts.Go(func() {
			if err := part(ctx); err != nil {
				s.t.Errorf("a part returned %v, want nil", err)
			}
		})
	}
	s.t.Cleanup(func() {
		stop()
		parts.Wait()
		s.must(s.store.Close())
	})
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// Call implements [providers.Provider]: it takes from one to three seconds.
func (s *stage) Call(
	ctx context.Context, req providers.Request, _ func(providers.Chunk),
) (providers.Response, error) {
	id := uuid.MustParse(req.IdempotencyKey[:strings.LastIndexByte(req.IdempotencyKey, '-')])
	s.mu.Lock()
	if _, ok := s.begun[id]; !ok {
		s.starts++
		s.begun[id] = begun{time.Now(), s.starts}
	}
	took := time.Second + time.Duration(s.took.Int64N(int64(2*time.Second)))
	s.mu.Unlock()
	select {
	case <-time.After(took):
		return providers.Response{Body: json.RawMessage(`{"ok":true}`), HTTPStatus: 200}, nil
	case <-ctx.Done():
		return providers.Response{}, ctx.Err()
	}
}

// submit takes a job in.
func (s *stage) submit(tenant string, priority jobs.Priority, left time.Duration) jobs.Job {
	s.t.Helper()
	now := time.Now().UTC()
	done, err := s.store.Submit(s.t.Context(), jobs.Submission{
		Job: jobs.Job{
			ID: uuid.Must(uuid.NewV7()), Tenant: tenant, Endpoint: providers.ChatCompletions, Model: "default",
			Priority: priority, Deadline: now.Add(left), CreatedAt: now, RequestHash: fmt.Sprintf("%064d", len(s.all)),
		},
		Request: jobs.Request{
			Endpoint: providers.ChatCompletions, Route: "default", Body: json.RawMessage(`{}`), Cost: 100,
		},
		Execution: uuid.Must(uuid.NewV7()), Dedupe: true,
	})
	s.must(err)
	s.all = append(s.all, done.Job)
	return done.Job
}

// wake says that there is something to do.
func (s *stage) wake() { s.must(s.queue.Send(s.t.Context(), jobs.Signal{Kind: jobs.SignalReady})) }

// look returns the job as a caller sees it.
func (s *stage) look(j jobs.Job) jobs.Job {
	s.t.Helper()
	now, err := s.service.Job(s.t.Context(), j.Tenant, j.ID)
	s.must(err)
	return now
}

// queued returns the jobs that have not started, by tenant.
func (s *stage) queued() map[string][]jobs.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := make(map[string][]jobs.Job)
	for _, j := range s.all {
		if _, ok := s.begun[j.ExecutionID]; !ok {
			left[j.Tenant] = append(left[j.Tenant], j)
		}
	}
	return left
}
