package dispatch

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers/lane"
)

// Lanes tell how much may be sent: see [lane.Lanes].
type Lanes interface {
	Room(ctx context.Context, horizon time.Duration, lanes ...lane.Lane) ([]lane.Room, error)
}

// ahead is for how many polls in advance work is released: what waits for its
// lane in a worker's place is there the moment it opens.
const ahead = 2

// waitForTokens is how many releases may wait for a lane at once whose tokens are
// limited: how many calls those are enough for is known when they ask.
const waitForTokens = 16

// closed is a target that lets nothing through.
type closed struct {
	why jobs.WaitingOn
	// until is when that ends at the earliest; zero when nobody knows.
	until time.Time
	// reason is the lane's; empty when it is open and a limit is used up.
	reason lane.Reason
}

// lanes narrows the room down to what the lanes of the targets let through, of
// those that were not asked for before. Without lanes nobody asks for leave, and
// there is nothing to narrow.
func (d *Dispatcher) lanes(ctx context.Context, w *window, asked []jobs.Target) error {
	var targets []jobs.Target
	var all []lane.Lane
	for _, t := range asked {
		if _, seen := w.lanes[t]; !seen && w.pool(t) != nil {
			w.lanes[t] = lane.Unbounded
			targets, all = append(targets, t), append(all, d.laneOf(t))
		}
	}
	if d.cfg.Lanes == nil || len(targets) == 0 {
		return nil
	}
	rooms, err := d.cfg.Lanes.Room(ctx, ahead*d.cfg.Pace.Poll, all...)
	if rooms == nil && err != nil {
		return fmt.Errorf("ask the lanes for room: %w", err)
	}
	d.reports.lanes(ctx, d.cfg.Observer, err)
	now := time.Now()
	for i, room := range rooms {
		w.narrow(targets[i], room, now)
		if room.Recovering {
			d.tryOut(w, targets[i], now)
		}
	}
	w.narrowed(now)
	d.noteShut(w, targets, now)
	return nil
}

// opens returns when the next thing happens that only the clock tells of: a lane
// that routes wait for may be open, or they are out of patience with it. It is the
// zero time when nothing will.
func (d *Dispatcher) opens(w *window, routes []route, now time.Time) (at time.Time) {
	for _, r := range routes {
		for _, t := range r.targets {
			c := w.closed[t]
			for _, then := range []time.Time{c.until, d.spells[t].since.Add(r.patience)} {
				if c.shut() && then.After(now) && (at.IsZero() || then.Before(at)) {
					at = later(then, now.Add(unparkPause))
				}
			}
		}
	}
	return at
}

// tryOut keeps releases from a lane that recovers as long as those made last may
// not have asked yet: it lets few through, and the others would come back.
func (d *Dispatcher) tryOut(w *window, t jobs.Target, now time.Time) {
	if now.Sub(d.tried[t]) < d.cfg.Pace.Poll {
		w.lanes[t] = 0
	} else {
		w.recovering = append(w.recovering, t)
	}
}

// triedOut notes which of the lanes that recover something was released to.
func (d *Dispatcher) triedOut(w *window, now time.Time) {
	for _, t := range w.recovering {
		if w.taken[t] {
			d.tried[t] = now
		}
	}
	maps.DeleteFunc(d.tried, func(_ jobs.Target, at time.Time) bool { return now.Sub(at) > time.Minute })
}

func (d *Dispatcher) laneOf(t jobs.Target) lane.Lane {
	return lane.Lane{Pool: d.groups.pool(t), Target: t.String()}
}

// narrow takes account of a lane. What is released and has not asked yet will take
// its part of it. What the pool lets through at most is what the best of its lanes
// does: it bounds all of them alike, and each may be bounded by itself.
func (w *window) narrow(t jobs.Target, r lane.Room, now time.Time) {
	p := w.pool(t)
	w.health[t] = r.Health
	switch r.Reason {
	case "", lane.Capacity: // calls under way are outstanding releases: they are counted
	default:
		shut := closed{why: waitingOnLane(r.Reason), reason: r.Reason}
		if r.For > 0 {
			shut.until = now.Add(r.For)
		}
		w.lanes[t], w.closed[t] = 0, shut
		return
	}
	calls, why := r.Requests, jobs.WaitingOnRateLimit
	if !r.Recovering && r.Slots < calls { // an operator may allow fewer places than the configuration
		calls, why = r.Slots, jobs.WaitingOnCapacity
	}
	if tokens := min(r.Input, r.Output, r.Tokens); tokens != lane.Unbounded {
		calls = min(calls, waitForTokens, tokens)
	}
	p.inPool = r.InPool
	if !r.Recovering { // else its pool's places are not told
		p.lets = max(p.lets, calls)
	}
	if calls != lane.Unbounded {
		w.lanes[t] = left(calls, w.outstanding[t], r.InLane)
		w.bounded[t] = why
	}
	if r.Recovering {
		w.lanes[t] = min(w.lanes[t], r.Slots)
	}
}

// narrowed takes account of what pools let through, when all lanes are asked.
func (w *window) narrowed(now time.Time) {
	for _, p := range w.pools {
		if p.lets >= 0 && p.lets != lane.Unbounded {
			p.free = min(p.size-p.outstanding, int(left(p.lets, p.outstanding, p.inPool)))
		}
	}
	for t, why := range w.bounded {
		if w.lanes[t] == 0 || w.pool(t).free == 0 {
			w.closed[t] = closed{why: why, until: now}
		}
	}
}

// left returns how many of so many calls are left when those released that are not
// under way will be made too.
func left(calls int64, outstanding int, underWay int64) int64 {
	return max(0, calls-max(0, int64(outstanding)-underWay))
}

// waitingOnLane is what jobs wait on that a lane keeps.
func waitingOnLane(r lane.Reason) jobs.WaitingOn {
	switch r {
	case lane.RateLimit:
		return jobs.WaitingOnRateLimit
	case lane.Breaker:
		return jobs.WaitingOnBreaker
	case lane.Paused, lane.Drained:
		return jobs.WaitingOnHuman
	default:
		return jobs.WaitingOnCapacity
	}
}

// through returns how many releases of a use case to the target there is room for.
func (w *window) through(t jobs.Target, useCase string) int64 {
	free := int64(max(0, w.free(t, useCase)))
	if n, known := w.lanes[t]; known {
		return min(free, n)
	}
	return free
}
