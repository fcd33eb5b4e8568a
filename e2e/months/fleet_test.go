package months

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/e2e/history"
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

const (
	// processes is how many there are at a time, each with a dispatcher, a worker
	// and a controller; poolSize is how many calls of one provider they may make at
	// once, together.
	processes = 3
	poolSize  = 20
	// lostReplies is of how many calls of the store one answer is lost, lostTasks
	// of how many tasks one.
	lostReplies, lostTasks = 2000, 200
)

// pace is slower than usual, for a look that finds nothing costs real time however
// little virtual time has passed. Until a death or a lost task is noticed takes
// so much longer; all else is as ever.
var pace = filled(jobs.Pace{Beat: 40 * time.Second, Poll: 30 * time.Second})

func filled(p jobs.Pace) jobs.Pace {
	p, err := p.Filled()
	if err != nil {
		panic(err)
	}
	return p
}

// fleet is the processes over one real store and one queue, and all that is
// known about them.
type fleet struct {
	t        *testing.T
	plan     plan
	begun    time.Time
	path     string
	store    *sqlite.Store
	queue    *queuetest.Queue
	catalog  *jobs.Catalog
	upstream *upstream
	service  *jobs.Service
	// quiet is held by whoever waits for everything to come to rest.
	quiet chan struct{}
	// away counts the reasons why nobody reaches the store, asked the calls of it,
	// handed the tasks handed to the queue.
	away, asked, handed atomic.Int64

	mu    sync.Mutex
	slots [processes]*process
	names int
	all   []*process
	// back is when the store last returned.
	back time.Time
	seen history.History
	// hopeless are the jobs whose provider is absent.
	hopeless map[string]bool
}

// process is one that does all.
type process struct {
	f    *fleet
	name string
	id   uuid.UUID
	// blind counts the reasons why it does not reach the store, mute the queue.
	blind, mute atomic.Int64
	// unheard counts the reasons for which others may declare it dead.
	unheard atomic.Int64
	leads   atomic.Bool
	// gone is closed when it is killed.
	gone chan struct{}
	kill func()
	// stop ends it in good order; over is closed when all of it has ended.
	stop context.CancelFunc
	over chan struct{}
}

var errCut = jobs.Unavailable(errors.New("cut off"))

func newFleet(t *testing.T, p plan) *fleet {
	t.Helper()
	f := &fleet{
		t: t, plan: p, begun: time.Now(), path: sqlitetest.File(t), queue: queuetest.New(),
		quiet: make(chan struct{}, 1), seen: history.History{Cancels: map[string]bool{}}, hopeless: map[string]bool{},
	}
	var err error
	f.store, err = sqlite.Open(t.Context(), sqlite.Config{Path: f.path, Relaxed: true})
	f.must(err)
	target := func(provider string) jobs.Target { return jobs.Target{Provider: provider, Model: "m"} }
	usual := jobs.Route{MaxAttempts: 5, Timeouts: jobs.DefaultTimeouts()}
	ordered := usual
	ordered.Name, ordered.Targets = "default", []jobs.Target{target("first"), target("second")}
	f.catalog = jobs.NewCatalog([]jobs.Route{ordered}, map[string][]string{"first": {"m"}, "second": {"m"}, "absent": {"m"}}, usual)
	f.upstream = &upstream{f: f, live: map[string]*liveCall{}, asked: map[uint64]int{}}
	f.service = jobs.NewService(storagetest.Cut{Store: f.store, Before: f.reach, After: f.lose}, f.queue, f.catalog)
	for slot := range processes {
		f.start(slot)
	}
	return f
}

func (f *fleet) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// clock tells how far the simulation is.
func (f *fleet) clock() string {
	since := time.Since(f.begun)
	return fmt.Sprintf("day %d %s", int(since.Hours()/24), time.Now().UTC().Format("15:04:05.000"))
}

// reach returns an error while the store is away from all.
func (f *fleet) reach() error {
	if f.away.Load() > 0 {
		return errCut
	}
	return nil
}

// lose returns an error for some calls that have been made.
func (f *fleet) lose() error {
	if f.asked.Add(1)%lostReplies == 0 {
		return jobs.Unavailable(errors.New("the answer was lost"))
	}
	return nil
}

// loseTask is true for some tasks.
func (f *fleet) loseTask(jobs.Task) bool { return f.handed.Add(1)%lostTasks == 0 }

func (p *process) dead() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

func (p *process) silent() bool { return p.dead() || p.unheard.Load() > 0 }

func (p *process) reachStore() error {
	if p.dead() || p.blind.Load() > 0 {
		return errCut
	}
	return p.f.reach()
}

func (p *process) reachQueue() error {
	if p.dead() || p.mute.Load() > 0 {
		return errCut
	}
	return nil
}

// start starts a process in a slot.
func (f *fleet) start(slot int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names++
	p := &process{
		f: f, name: fmt.Sprint("process ", f.names), id: uuid.Must(uuid.NewV7()), gone: make(chan struct{}),
		over: make(chan struct{}),
	}
	ctx, stop := context.WithCancel(f.t.Context())
	p.stop = stop
	p.kill = sync.OnceFunc(func() {
		close(p.gone)
		stop()
	})
	var parts sync.WaitGroup
	for _, part := range p.parts() {
		parts.Go(func() {
			if err := part(ctx); err != nil {
				f.t.Errorf("a part of %s returned %v, want nil", p.name, err)
			}
		})
	}
	go func() {
		parts.Wait()
		close(p.over)
	}()
	f.slots[slot] = p
	f.all = append(f.all, p)
}

// parts builds the process.
func (p *process) parts() []func(context.Context) error {
	f := p.f
	store := storagetest.Cut{Store: f.store, Before: p.reachStore, After: f.lose}
	queue := &queuetest.Cut{Queue: f.queue, Before: p.reachQueue, Lost: f.loseTask, Killed: p.gone}
	concurrency, all := map[string]int{}, map[string]providers.Provider{}
	for _, name := range providerNames {
		concurrency[name], all[name] = poolSize, answerer{p, name}
	}
	dispatcher, err := dispatch.New(dispatch.Config{
		Store: store, Queue: queue, Catalog: f.catalog, Pools: concurrency, Holder: p.id, Pace: pace,
		Observer: dispatch.Observer{Leading: p.leads.Store},
	})
	f.must(err)
	runner, err := run.New(run.Config{
		Store: store, Queue: queue, Signals: queue, Catalog: f.catalog, Worker: jobs.Worker{ID: p.id, Name: p.name},
		Providers: all, Concurrency: concurrency, Pace: pace,
	})
	f.must(err)
	controller, err := control.New(control.Config{Store: store, Queue: queue, Signals: queue, Holder: p.id, Pace: pace})
	f.must(err)
	listen := func(ctx context.Context) error {
		return f.queue.Listen(ctx, func(s jobs.Signal) {
			dispatcher.WakeAt(s.At)
			runner.Stop(s.Executions)
		}, jobs.SignalReady, jobs.SignalStopped)
	}
	return []func(context.Context) error{dispatcher.Run, runner.Run, controller.Run, listen}
}

// close ends all processes and the store.
func (f *fleet) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.all {
		p.stop()
	}
	for _, p := range f.all {
		<-p.over
	}
	f.must(f.store.Close())
}
