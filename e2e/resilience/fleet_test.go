package resilience

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/internal/embedredis"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue/queuetest"
	"github.com/penstock-dev/penstock/providers/lane"
	"github.com/penstock-dev/penstock/providers/latency"
	"github.com/penstock-dev/penstock/providers/tokens"
	"github.com/penstock-dev/penstock/storage/sqlite"
	"github.com/penstock-dev/penstock/storage/sqlite/sqlitetest"
)

// route is the route over all providers, in their order; tenant asks for all.
const route, tenant = "default", "tenant"

// fleet is Penstock: processes with a dispatcher, a worker and a controller each,
// over one real store and one queue.
type fleet struct {
	t      *testing.T
	w      *world
	path   string
	store  *sqlite.Store
	queue  *queuetest.Queue
	redis  *embedredis.Server
	lanes  *lane.Lanes
	tokens *estimates
	// latencies are those that every process knows of.
	latencies latencies
	catalog   *jobs.Catalog
	service   *jobs.Service
	pace      jobs.Pace
	// accepted are the jobs' ids, by question.
	accepted []uuid.UUID
	// stop ends the processes in good order; running are their parts.
	stop    context.CancelFunc
	running sync.WaitGroup
}

func runPenstock(t *testing.T, w *world) {
	t.Helper()
	f := newFleet(t, w)
	f.start()
	done := make(chan struct{})
	var meanwhile sync.WaitGroup
	meanwhile.Go(func() { f.keepPace(done) })
	if w.meanwhile != nil {
		meanwhile.Go(func() { w.meanwhile(f) })
	}
	f.submitAll()
	f.untilAllEnded()
	close(done)
	meanwhile.Wait()
	f.end()
	f.note()
	f.must(f.redis.Close())
	f.must(f.store.Close())
}

func newFleet(t *testing.T, w *world) *fleet {
	t.Helper()
	f := &fleet{
		t: t, w: w, path: sqlitetest.File(t), queue: queuetest.New(), redis: embedredis.Start(),
		tokens: &estimates{Estimator: tokens.New(), w: w}, latencies: latencies{latency.NewFleet(latency.Config{})},
	}
	if w.slowly {
		f.pace = calmPace
	}
	var err error
	f.store, err = sqlite.Open(t.Context(), sqlite.Config{Path: f.path, Relaxed: true})
	f.must(err)
	limits := map[string]lane.Limits{}
	policies := jobs.Route{
		MaxAttempts: w.attempts, Mode: w.mode, HedgeBudget: w.hedge,
		Timeouts: jobs.DefaultTimeouts(), Patience: 5 * time.Second,
	}
	ordered, models := policies, map[string][]string{}
	ordered.Name = route
	for _, u := range w.upstreams {
		ordered.Targets = append(ordered.Targets, jobs.Target{Provider: u.name, Model: "m"})
		models[u.name] = []string{"m"}
		limits[u.name] = w.limits(u)
	}
	f.lanes, err = lane.New(f.redis.Client(), f.store, lane.Config{Limits: limits, Lease: 20 * time.Minute})
	f.must(err)
	f.catalog = jobs.NewCatalog([]jobs.Route{ordered}, models, policies)
	f.service = jobs.NewService(f.store, f.queue, f.catalog)
	return f
}

// limits are what Penstock is told of a provider's.
func (w *world) limits(u *upstream) lane.Limits {
	l := lane.Limits{Concurrency: int64(w.size)}
	if !w.untold {
		l.RequestsPerMinute, l.OutputTokensPerMinute = int64(u.requestsPerMinute), int64(u.outputTokens)
	}
	return l
}

func (f *fleet) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// flush empties Redis, and what stands for it.
func (f *fleet) flush() {
	f.must(f.redis.Client().FlushAll(f.t.Context()).Err())
	f.queue.Lose()
}

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
