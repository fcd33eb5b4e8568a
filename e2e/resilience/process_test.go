package resilience

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/control"
	"github.com/penstock-dev/penstock/jobs/dispatch"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
)

// A look that finds nothing costs real time however little virtual time has
// passed. So the processes of a month are replaced, in good order, by ones with a
// slower pace when all is well, and with a quicker one before there is trouble.
var (
	calmPace  = jobs.Pace{Beat: time.Hour, Poll: time.Hour}
	alertPace = jobs.Pace{Beat: 4 * time.Minute, Poll: 2 * time.Minute}
)

// start starts the processes.
func (f *fleet) start() {
	ctx, stop := context.WithCancel(f.t.Context())
	f.stop = stop
	for n := range f.w.processes {
		f.process(ctx, n)
	}
}

// end ends the processes in good order.
func (f *fleet) end() {
	f.stop()
	f.running.Wait()
}

// keepPace replaces the processes as times of trouble begin and end, until done is
// closed.
func (f *fleet) keepPace(done <-chan struct{}) {
	for _, s := range f.w.trouble {
		if !f.paceFrom(done, s.from, alertPace) || !f.paceFrom(done, s.to, calmPace) {
			return
		}
	}
}

// paceFrom replaces the processes at a time, and reports whether that came.
func (f *fleet) paceFrom(done <-chan struct{}, at time.Duration, pace jobs.Pace) bool {
	due := time.NewTimer(at - f.w.now())
	defer due.Stop()
	select {
	case <-done:
		return false
	case <-due.C:
	}
	f.end()
	f.pace = pace
	f.start()
	return true
}

// process starts a process.
func (f *fleet) process(ctx context.Context, n int) {
	id := uuid.Must(uuid.NewV7())
	pools, share, all := map[string]int{}, map[string]int{}, map[string]providers.Provider{}
	for _, u := range f.w.upstreams {
		pools[u.name], share[u.name], all[u.name] = f.w.size, max(1, f.w.size/f.w.processes), u
	}
	dispatcher, err := dispatch.New(dispatch.Config{
		Store: f.store, Queue: f.queue, Catalog: f.catalog, Pools: pools, Lanes: f.lanes, Holder: id,
		Pace: f.pace, Weight: f.latencies.weight,
	})
	f.must(err)
	runner, err := run.New(run.Config{
		Store: f.store, Queue: f.queue, Signals: f.queue, Catalog: f.catalog,
		Worker:    jobs.Worker{ID: id, Name: fmt.Sprint("process ", n)},
		Providers: all, Concurrency: share, Lanes: f.lanes, Tokens: f.tokens, Pace: f.pace,
		HedgeAfter: f.latencies.hedgeAfter, Observer: run.Observer{Ended: f.latencies.ended},
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
