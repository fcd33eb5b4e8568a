// Package dispatch decides what may run now. One dispatcher of the fleet, the
// holder of a lease, releases executions into the queue: as many as their
// provider's pool has room for, and those whose turn it is.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/backoff"
)

const (
	// LeaseName is the lease that the one dispatcher at work holds.
	LeaseName = "dispatch"
	// handOver bounds what is still done after Run's context has ended: to
	// enqueue what was just released, to give up the lease.
	handOver = 2 * time.Second
)

// outage spaces out tries while the store is away. Its cap is below a second,
// so that work goes on within a second of the store's return.
var outage = backoff.Policy{Base: 50 * time.Millisecond, Cap: 800 * time.Millisecond}

// Config is what a [Dispatcher] needs. Store, Queue, Catalog and Holder are
// required.
type Config struct {
	Store   jobs.DispatchStore
	Queue   jobs.Queue
	Catalog *jobs.Catalog
	// Signals tell who waits for jobs that end for want of a target; nil: they find
	// out at their next look.
	Signals jobs.Signals
	// Pools gives, by quota pool, how many releases may be outstanding at once
	// over the whole fleet: at least 1. A pool that is not in it gets none. Groups
	// names the pools of targets that are not in the one that has their provider's
	// name. [Dispatcher.Resize] changes both.
	Pools  map[string]int
	Groups map[jobs.Target]string
	// Lanes tell how much targets let through; nil: all.
	Lanes Lanes
	// Weight tells how good a target of an active_active route is, beside how many of
	// its calls fail and of its places are free: the quicker the better; nil: all
	// alike. It is asked often.
	Weight func(jobs.Target) float64
	// Holder names this process as holder of the lease.
	Holder uuid.UUID
	// Pace says how often the lease is renewed, and asked for by the others; and
	// how long a lost [Dispatcher.Wake] may go unnoticed.
	Pace     jobs.Pace
	Observer Observer
}

// Dispatcher releases executions. Make one with [New].
type Dispatcher struct {
	cfg  Config
	wake chan struct{}
	// expected is when the next execution is due, in nanoseconds since 1970, of
	// those given back since the last pass; zero: none is.
	expected atomic.Int64
	// wanted are what the pools are to be from the next pass on; nil: as they are.
	wanted atomic.Pointer[wanted]

	// What follows belongs to the goroutine in Run.
	leading bool
	renewed time.Time
	// deaf says that the queue did not take the last releases, and gaveWay when
	// the lease was given up for that.
	deaf    bool
	gaveWay time.Time
	pools   map[string]*pool
	groups  groups
	looks   map[lookKey]*look
	start   int
	// direct is the target that callers name themselves at which the last pass
	// stopped; empty: it looked at all that were left.
	direct string
	flows  *flows
	// rested is when a wake may make another pass.
	rested time.Time
	// unparkAt is when to ask next for executions whose time has come, and
	// waiting whether any were left then.
	unparkAt time.Time
	waiting  bool
	// spells are those of targets that are shut, opensAt when the next of what is
	// shut may be open or out of patience, and looked when lanes were last asked.
	spells  map[jobs.Target]spell
	opensAt time.Time
	looked  time.Time
	// tried is when something was released last to a lane that recovers.
	tried   map[jobs.Target]time.Time
	reports reports
}

// New returns a dispatcher, or an error that names the field at fault.
func New(cfg Config) (*Dispatcher, error) {
	switch {
	case cfg.Store == nil:
		return nil, errors.New("dispatch: Store is missing")
	case cfg.Queue == nil:
		return nil, errors.New("dispatch: Queue is missing")
	case cfg.Catalog == nil:
		return nil, errors.New("dispatch: Catalog is missing")
	case cfg.Holder == uuid.Nil:
		return nil, errors.New("dispatch: Holder is missing")
	}
	var err error
	if cfg.Pace, err = cfg.Pace.Filled(); err != nil {
		return nil, fmt.Errorf("dispatch: Pace: %w", err)
	}
	d := &Dispatcher{
		cfg: cfg, wake: make(chan struct{}, 1),
		pools: make(map[string]*pool, len(cfg.Pools)), looks: make(map[lookKey]*look),
		reports: reports{routes: make(map[string]time.Time)}, flows: newFlows(),
		tried: make(map[jobs.Target]time.Time), spells: make(map[jobs.Target]spell),
	}
	if err := checkPools(cfg.Pools); err != nil {
		return nil, err
	}
	d.wanted.Store(&wanted{cfg.Pools, cfg.Groups})
	d.resize()
	return d, nil
}

// Wake says that there may be something to release, or room for it. It never
// blocks; many calls in a row are one.
func (d *Dispatcher) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// WakeAt is Wake, and says that at the given time there will be something to
// release that was given back; zero: there will not. Call it on
// [jobs.SignalReady].
func (d *Dispatcher) WakeAt(at time.Time) {
	for !at.IsZero() {
		known := d.expected.Load()
		if known != 0 && known <= at.UnixNano() || d.expected.CompareAndSwap(known, at.UnixNano()) {
			break
		}
	}
	d.Wake()
}

// Run dispatches until ctx ends, then gives up the lease and returns nil.
// While another process has the lease, or the store is away, it only waits.
func (d *Dispatcher) Run(ctx context.Context) error {
	defer d.resign(ctx)
	failures, due := 0, time.Now()
	for ctx.Err() == nil {
		delay, err := d.turn(ctx, &due)
		if err == nil {
			failures = 0
			d.wait(ctx, delay, &due)
			continue
		}
		d.reports.failure(ctx, d.cfg.Observer, err)
		_ = backoff.Wait(ctx, outage.Equal(failures)) // ends early only with ctx, which the loop looks at
		failures++
	}
	return nil
}

// turn renews the lease if it is time to, makes a pass if one is due, and
// returns how long nothing need be done.
func (d *Dispatcher) turn(ctx context.Context, due *time.Time) (time.Duration, error) {
	if err := d.lead(ctx); err != nil {
		return 0, err
	}
	if !d.leading {
		return d.cfg.Pace.Beat, nil
	}
	if now := time.Now(); !now.Before(*due) {
		*due = now.Add(d.cfg.Pace.Poll)
		more, err := d.pass(ctx)
		d.rested = rest(now, time.Now())
		if d.deaf {
			d.deaf, d.gaveWay = false, now
			d.resign(ctx)
			return d.cfg.Pace.Beat, err
		}
		if err != nil || more {
			*due = now
			return 0, err
		}
		*due = earlier(*due, d.unparkAt)
		if d.opensAt.After(now) {
			*due = earlier(*due, d.opensAt)
		}
	}
	if err := d.tell(ctx); err != nil {
		return 0, err
	}
	d.reports.recovered()
	return min(time.Until(*due), time.Until(d.renewed.Add(d.cfg.Pace.Beat))), nil
}

// wait waits for delay or, if this is the leader, for Wake, which makes a pass
// due. Those that do not lead leave the wake-up where it is: it costs nothing.
func (d *Dispatcher) wait(ctx context.Context, delay time.Duration, due *time.Time) {
	var wake chan struct{}
	if d.leading {
		wake = d.wake
	}
	t := time.NewTimer(max(0, delay))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-wake:
		*due = d.rested
	}
}

// lead takes the lease, or renews it when it was last renewed a while ago.
func (d *Dispatcher) lead(ctx context.Context) error {
	start := time.Now()
	if d.leading && start.Sub(d.renewed) < d.cfg.Pace.Beat || !d.leading && start.Sub(d.gaveWay) < d.giveWay() {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, d.cfg.Pace.Lease)
	defer cancel()
	got, err := d.cfg.Store.Lease(asking, LeaseName, d.cfg.Holder, d.cfg.Pace.Lease)
	if err != nil {
		d.led(d.leading && start.Before(d.until()))
		return fmt.Errorf("take the dispatcher's lease: %w", err)
	}
	d.led(got)
	d.renewed = start
	return nil
}

// giveWay is how long a dispatcher that could not enqueue does not ask for the
// lease: long enough for another, which perhaps can, to ask for it.
func (d *Dispatcher) giveWay() time.Duration { return 3 * d.cfg.Pace.Beat / 2 }

// led notes whether this process is the dispatcher.
func (d *Dispatcher) led(yes bool) {
	if yes != d.leading {
		d.leading, d.flows = yes, newFlows()
		d.cfg.Observer.leading(yes)
	}
}

// until is the time by which this process stops acting as the leader: a
// quarter of the lease before another can have it, so that what is on its way
// to the store arrives while the lease is still held.
func (d *Dispatcher) until() time.Time { return d.renewed.Add(d.cfg.Pace.Lease - d.cfg.Pace.Lease/4) }

// resign gives the lease up, so that another need not wait for its end.
func (d *Dispatcher) resign(ctx context.Context) {
	if !d.leading {
		return
	}
	d.led(false)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOver)
	defer cancel()
	if err := d.cfg.Store.Unlease(ctx, LeaseName, d.cfg.Holder); err != nil {
		d.cfg.Observer.error(fmt.Errorf("give up the dispatcher's lease: %w", err))
	}
}
