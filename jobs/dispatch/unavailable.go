package dispatch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers/lane"
)

const (
	// giveUpBatch is how many jobs are given up in a pass, and endedIDs how many ids
	// there are in a signal.
	giveUpBatch = 500
	endedIDs    = 512
	// namedTargets bounds how many targets a message names.
	namedTargets = 10
)

// spell is how long a target has been shut: since when, as of the last look.
type spell struct{ since, seen time.Time }

// shut reports whether the target is closed by what is not ours: its provider or
// an operator. A limit of our own that is used up, or places that are taken, are
// worth waiting for.
func (c closed) shut() bool {
	switch c.reason {
	case lane.Breaker, lane.RateLimit, lane.Paused, lane.Drained:
		return true
	default:
		return false
	}
}

// byHuman reports whether an operator did it: nobody knows until when.
func (c closed) byHuman() bool { return c.reason == lane.Paused || c.reason == lane.Drained }

// say tells a tenant why.
func (c closed) say() string {
	switch {
	case c.reason == lane.Paused:
		return "an operator has paused it"
	case c.reason == lane.Drained:
		return "an operator has drained it"
	case c.reason == lane.RateLimit:
		return "its provider asked to wait until " + c.until.UTC().Format(time.RFC3339)
	case c.until.IsZero():
		return "its calls have failed; it is being tried again"
	default:
		return "its calls have failed; it is tried again at " + c.until.UTC().Format(time.RFC3339)
	}
}

// noteShut keeps since when targets are shut. What nobody looked at meanwhile may
// have been open.
func (d *Dispatcher) noteShut(w *window, targets []jobs.Target, now time.Time) {
	maps.DeleteFunc(d.spells, func(_ jobs.Target, s spell) bool { return now.Sub(s.seen) > ahead*d.cfg.Pace.Poll })
	for _, t := range targets {
		before, was := d.spells[t]
		switch {
		case !w.closed[t].shut():
			delete(d.spells, t)
		case !was:
			d.spells[t] = spell{now, now}
		default:
			d.spells[t] = spell{before.since, now}
		}
	}
}

// unserved reports whether no target of r can be called, for longer than r has
// patience: it has lasted for so long, or is known to. Then it says why.
func (d *Dispatcher) unserved(w *window, r route, now time.Time) (why string, yes bool) {
	targets := r.targets
	if r.held(w) {
		targets = targets[:1]
	}
	var reasons []string
	for _, t := range targets {
		if w.pool(t) == nil {
			continue // it is not configured
		}
		c := w.closed[t]
		lasts := now.Sub(d.spells[t].since) >= r.patience || c.until.Sub(now) > r.patience
		if !c.shut() || !lasts {
			return "", false
		}
		if reasons = append(reasons, t.String()+": "+c.say()); len(reasons) == namedTargets {
			break
		}
	}
	return "no target can be called: " + strings.Join(reasons, "; "), true
}

// giveUp does what jobs of r want, which is unserved for the given reason, up to a
// limit, and returns the route that is then to be served: for those that would
// degrade, one of its lesser targets. It reports whether there are more to give up;
// until those are done nothing is called.
func (d *Dispatcher) giveUp(ctx context.Context, w *window, r route, u jobs.Unserved) (_ route, more bool, err error) {
	got, err := d.cfg.Store.GiveUp(ctx, u)
	if err != nil {
		return r, false, fmt.Errorf("give up jobs of route %q, which is unserved: %w", r.line.Route, err)
	}
	d.ended(ctx, got.Ended)
	if got.More || len(r.lesser) == 0 {
		return r, got.More, nil
	}
	if err := d.lanes(ctx, w, r.lesser); err != nil {
		return r, false, err
	}
	return route{targets: r.lesser, patience: r.patience, degraded: true}, false, nil
}

// giveUpAll is giveUp for each of the routes that is unserved, once for all of its
// lines, which are in a row. They share the batch, so that however many they are, the
// others do not wait for them long.
func (d *Dispatcher) giveUpAll(ctx context.Context, w *window, routes []route) (more bool, err error) {
	now := time.Now()
	unserved := make(map[string]jobs.JobError)
	for _, r := range routes {
		if why, yes := d.unserved(w, r, now); yes {
			unserved[r.line.Route] = jobs.JobError{Code: jobs.CodeUnavailable, Message: why}
		}
	}
	var served route
	last := -1 // the line before of an unserved route
	for i, r := range routes {
		why, yes := unserved[r.line.Route]
		if !yes {
			continue
		}
		if last < 0 || routes[last].line.Route != r.line.Route {
			limit, again := max(1, giveUpBatch/len(unserved)), false
			u := jobs.Unserved{Route: r.line.Route, At: now.UTC(), Limit: limit, Why: why}
			if served, again, err = d.giveUp(ctx, w, r, u); err != nil {
				return false, err
			}
			more = more || again
		}
		last = i
		routes[i] = served
		routes[i].line, routes[i].useCase = r.line, r.useCase
	}
	return more, nil
}

// ended tells who waits for jobs that they have ended.
func (d *Dispatcher) ended(ctx context.Context, ids []uuid.UUID) {
	if d.cfg.Signals == nil || len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOver)
	defer cancel()
	for some := range slices.Chunk(ids, endedIDs) {
		_ = d.cfg.Signals.Send(ctx, jobs.Signal{Kind: jobs.SignalEnded, Jobs: some}) // lost, it costs a look
	}
}
