package control_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/control"
)

var errAway = errors.New("the store is away")

// double is a store and a queue made of functions. Without any set there is
// nothing to do.
type double struct {
	mu        sync.Mutex
	workers   func() ([]jobs.Worker, error)
	reclaim   func(jobs.Worker) (jobs.Reclaimed, error)
	unclaimed func(before time.Time) ([]jobs.Task, error)
	missing   func([]jobs.Task) ([]jobs.Task, error)
	expire    func() (jobs.Expired, error)
	settle    func() ([]uuid.UUID, error)
	maintain  func() error
	// keep is what to retain; kept what was asked to.
	keep, kept jobs.Retention
	retain     error
	retainFor  time.Duration
	// sweep, if set, is what a sweep of files ends with.
	sweep func() error
	// due is how many jobs are to be dropped.
	due int

	requeued  []jobs.Task
	reclaimed []jobs.Worker
	signals   []jobs.Signal
	errs      []error
	calls     map[string]int
	leases    map[string]uuid.UUID
}

func newDouble() *double {
	return &double{
		workers:   func() ([]jobs.Worker, error) { return nil, nil },
		reclaim:   func(jobs.Worker) (jobs.Reclaimed, error) { return jobs.Reclaimed{}, nil },
		unclaimed: func(time.Time) ([]jobs.Task, error) { return nil, nil },
		missing:   func([]jobs.Task) ([]jobs.Task, error) { return nil, nil },
		expire:    func() (jobs.Expired, error) { return jobs.Expired{}, nil },
		settle:    func() ([]uuid.UUID, error) { return nil, nil },
		maintain:  func() error { return nil },
		calls:     make(map[string]int), leases: make(map[string]uuid.UUID),
	}
}

func (d *double) note(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls[what]++
}

// under returns one of d's fields.
func under[T any](d *double, field *T) T {
	d.mu.Lock()
	defer d.mu.Unlock()
	return *field
}

// set changes d while it is in use.
func (d *double) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

// count returns how often something was called.
func (d *double) count(what string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls[what]
}

func (d *double) Workers(context.Context) ([]jobs.Worker, error) {
	d.note("workers")
	return under(d, &d.workers)()
}

func (d *double) Reclaim(_ context.Context, w jobs.Worker, _ time.Time) (jobs.Reclaimed, error) {
	d.mu.Lock()
	d.reclaimed = append(d.reclaimed, w)
	d.mu.Unlock()
	return under(d, &d.reclaim)(w)
}

func (d *double) Unclaimed(_ context.Context, before time.Time, limit int) ([]jobs.Task, error) {
	d.note("unclaimed")
	if limit < 1 {
		return nil, errors.New("no limit")
	}
	return under(d, &d.unclaimed)(before)
}

func (d *double) Requeue(_ context.Context, tasks []jobs.Task) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requeued = append(d.requeued, tasks...)
	return len(tasks), nil
}

func (d *double) Expire(context.Context, time.Time, int) (jobs.Expired, error) {
	d.note("expire")
	return under(d, &d.expire)()
}

func (d *double) Settle(context.Context) ([]uuid.UUID, error) {
	d.note("settle")
	return under(d, &d.settle)()
}

func (d *double) Drop(_ context.Context, _ time.Time, limit int) (int, error) {
	d.note("drop")
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(d.due, limit)
	d.due -= n
	return n, nil
}

func (d *double) Retain(_ context.Context, r jobs.Retention, _ time.Time) (int, error) {
	d.note("retain")
	time.Sleep(under(d, &d.retainFor))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept = r
	return 7, d.retain
}

func (d *double) Maintain(context.Context, time.Time) error {
	d.note("maintain")
	return under(d, &d.maintain)()
}

func (d *double) Lease(_ context.Context, name string, holder uuid.UUID, _ time.Duration) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.leases[name] == uuid.Nil {
		d.leases[name] = holder
	}
	return d.leases[name] == holder, nil
}

func (d *double) Unlease(_ context.Context, name string, holder uuid.UUID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.leases[name] == holder {
		delete(d.leases, name)
	}
	return nil
}

func (d *double) Enqueue(context.Context, []jobs.Task) error { return nil }

func (d *double) Missing(_ context.Context, tasks []jobs.Task) ([]jobs.Task, error) {
	d.note("missing")
	return under(d, &d.missing)(tasks)
}

func (d *double) Consume(context.Context, string, int, func(context.Context, jobs.Task)) error {
	return nil
}

func (d *double) Send(_ context.Context, s jobs.Signal) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.signals = append(d.signals, s)
	return errors.New("nobody hears signals") // which is not worth failing for
}

func (d *double) Listen(context.Context, func(jobs.Signal), ...jobs.SignalKind) error { return nil }

// kinds lists the kinds of the signals so far.
func (d *double) kinds() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := ""
	for _, signal := range d.signals {
		s += string(signal.Kind) + " "
	}
	return s
}

// run runs a controller over d until the test ends, or stop is called.
func (d *double) run(t *testing.T) (stop func()) {
	t.Helper()
	var sweep func(ctx context.Context) error
	if d.sweep != nil {
		sweep = func(context.Context) error { d.note("sweep"); return under(d, &d.sweep)() }
	}
	c, err := control.New(control.Config{
		Sweep: sweep,
		Store: d, Queue: d, Signals: d, Holder: uuid.Must(uuid.NewV7()), Retention: d.keep,
		Observer: control.Observer{Error: func(err error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.errs = append(d.errs, err)
		}},
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
	stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// after lets time pass and all settle.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
