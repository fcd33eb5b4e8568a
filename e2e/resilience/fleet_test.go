package resilience

import (
	"context"
	"fmt"
	"path/filepath"
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
)

// route is the route over all providers, in their order; tenant asks for all.
const route, tenant = "default", "tenant"

// fleet is Penstock: processes with a dispatcher, a worker and a controller each,
// over one real store and one queue.
type fleet struct {
	t       *testing.T
	w       *world
	path    string
	store   *sqlite.Store
	queue   *queuetest.Queue
	catalog *jobs.Catalog
	service *jobs.Service
	pace    jobs.Pace
	// accepted are the jobs' ids, by question.
	accepted []uuid.UUID
	stop     context.CancelFunc
	running  sync.WaitGroup
}

func runPenstock(t *testing.T, w *world) {
	t.Helper()
	f := newFleet(t, w)
	var meanwhile sync.WaitGroup
	if w.meanwhile != nil {
		meanwhile.Go(func() { w.meanwhile(f) })
	}
	f.submitAll()
	f.untilAllEnded()
	meanwhile.Wait()
	f.stop()
	f.running.Wait()
	f.note()
	f.must(f.store.Close())
}

func newFleet(t *testing.T, w *world) *fleet {
	t.Helper()
	f := &fleet{t: t, w: w, path: filepath.Join(t.TempDir(), "p.db"), queue: queuetest.New()}
	if w.slowly {
		f.pace = jobs.Pace{Beat: time.Hour, Poll: time.Hour}
	}
	var err error
	f.store, err = sqlite.Open(t.Context(), sqlite.Config{Path: f.path, Relaxed: true})
	f.must(err)
	policies := jobs.Route{MaxAttempts: tries, Timeouts: jobs.DefaultTimeouts()}
	ordered, models := policies, map[string][]string{}
	ordered.Name = route
	for _, u := range w.upstreams {
		ordered.Targets = append(ordered.Targets, jobs.Target{Provider: u.name, Model: "m"})
		models[u.name] = []string{"m"}
	}
	f.catalog = jobs.NewCatalog([]jobs.Route{ordered}, models, policies)
	f.service = jobs.NewService(f.store, f.queue, f.catalog)
	ctx, stop := context.WithCancel(t.Context())
	f.stop = stop
	for n := range w.processes {
		f.start(ctx, n)
	}
	return f
}

func (f *fleet) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// start starts a process.
func (f *fleet) start(ctx context.Context, n int) {
	id := uuid.Must(uuid.NewV7())
	pools, share, all := map[string]int{}, map[string]int{}, map[string]providers.Provider{}
	for _, u := range f.w.upstreams {
		pools[u.name], share[u.name], all[u.name] = f.w.size, max(1, f.w.size/f.w.processes), u
	}
	dispatcher, err := dispatch.New(dispatch.Config{
		Store: f.store, Queue: f.queue, Catalog: f.catalog, Pools: pools, Holder: id, Pace: f.pace,
	})
	f.must(err)
	runner, err := run.New(run.Config{
		Store: f.store, Queue: f.queue, Signals: f.queue, Catalog: f.catalog,
		Worker:    jobs.Worker{ID: id, Name: fmt.Sprint("process ", n)},
		Providers: all, Concurrency: share, Pace: f.pace,
	})
	f.must(err)
	controller, err := control.New(control.Config{
		Store: f.store, Queue: f.queue, Signals: f.queue, Holder: id, Pace: f.pace,
	})
	f.must(err)
	listen := func(ctx context.Context) error {
		return f.queue.Listen(ctx, func(s jobs.Signal) {
			dispatcher.WakeAt(s.At)
			runner.Stop(s.Executions)
		}, jobs.SignalReady, jobs.SignalStopped)
	}
	for _, part := range []func(context.Context) error{dispatcher.Run, runner.Run, controller.Run, listen} {
		f.running.Go(func() {
			if err := part(ctx); err != nil {
				f.t.Errorf("a part of process %d returned %v, want nil", n, err)
			}
		})
	}
}

// flush empties what stands for Redis.
func (f *fleet) flush() { f.queue.Lose() }

// submitAll submits each job when its time has come.
func (f *fleet) submitAll() {
	for i, j := range f.w.jobs {
		f.w.sleepUntil(j.at)
		model := j.model
		if model == "" {
			model = route
		}
		got, err := f.service.Submit(f.t.Context(), jobs.NewJob{
			Tenant: tenant, Request: ask(model, i), Timeout: f.w.deadline, NoDedupe: true,
		})
		f.must(err)
		f.accepted = append(f.accepted, got.Job.ID)
	}
}

// untilAllEnded waits until no job is left, or the time to look is over.
func (f *fleet) untilAllEnded() {
	if f.w.until > 0 {
		f.w.sleepUntil(f.w.until)
		return
	}
	for last := f.w.now() + f.w.deadline + time.Minute; f.live(jobs.StatusQueued) || f.live(jobs.StatusRunning); {
		if time.Sleep(10 * time.Second); f.w.now() > last {
			f.t.Error("jobs live past their deadline")
			return
		}
	}
}

func (f *fleet) live(s jobs.Status) bool { return len(f.list(jobs.JobQuery{Status: s, Limit: 1})) > 0 }

// note notes what became of the jobs.
func (f *fleet) note() {
	index := make(map[uuid.UUID]int, len(f.accepted))
	for i, id := range f.accepted {
		index[id] = i
	}
	for _, j := range f.list(jobs.JobQuery{Limit: len(f.accepted) + 1}) {
		if j.Status.Terminal() {
			f.w.end(index[j.ID], j.FinishedAt.Sub(f.w.begun), j.Status == jobs.StatusSucceeded)
		}
	}
}

func (f *fleet) list(q jobs.JobQuery) []jobs.Job {
	f.t.Helper()
	q.Tenant = tenant
	list, err := f.store.Jobs(f.t.Context(), q)
	f.must(err)
	return list
}
