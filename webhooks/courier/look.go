package courier

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs/backoff"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

const (
	// maxTurns bounds the endpoints that this process holds, leaseAtOnce those that it
	// takes at a time.
	maxTurns    = 1024
	leaseAtOnce = 128
	// restTime is the least time between two looks, which also rest restShare times as
	// long as they took.
	restTime  = 10 * time.Millisecond
	restShare = 3
	// yieldAfter is how long an endpoint is held for which another waits.
	yieldAfter = 10 * time.Second
)

// looks takes endpoints that have something due, until ctx ends.
func (c *Courier) looks(ctx, work, attempts context.Context) {
	failures := 0
	timed := true
	for ctx.Err() == nil {
		began := time.Now()
		more, err := c.look(ctx, work, attempts, timed)
		if c.reached(err); err != nil {
			c.report(ctx, err)
			failures++
			_ = backoff.Wait(ctx, outage.Equal(failures)) // ends early only with ctx, which the loop looks at
			continue
		}
		failures = 0
		rested := time.Now().Add(max(restTime-time.Since(began), restShare*time.Since(began)))
		if !more {
			timed = c.rest(ctx, rested)
		}
	}
}

// rest waits until there may be something to look for. It reports whether that is
// because its time has come.
func (c *Courier) rest(ctx context.Context, rested time.Time) (timed bool) {
	c.mu.Lock()
	due := c.expected.first()
	c.mu.Unlock()
	wait := c.cfg.Poll
	if !due.IsZero() {
		wait = min(wait, time.Until(due))
	}
	t := time.NewTimer(max(wait, time.Until(rested)))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	case <-c.wake:
		_ = backoff.Wait(ctx, time.Until(rested)) // ends early only with ctx, which the caller looks at
		return false
	}
}

// look gives up what was given up, takes what it may, and tells those that are held what
// is due to them. It reports whether there may be more to take.
func (c *Courier) look(ctx, work, attempts context.Context, timed bool) (more bool, err error) {
	c.release(work)
	room, now := c.room(), time.Now()
	if room > 0 {
		n, err := c.lease(ctx, work, attempts, min(room, leaseAtOnce))
		if err != nil {
			return false, err
		}
		more = n == min(room, leaseAtOnce)
	}
	c.crowded.Store(room <= leaseAtOnce && more || room == 0)
	if room == 0 {
		c.yield()
	}
	if err := c.among(ctx); err != nil {
		return false, err
	}
	if timed {
		return more, c.foresee(ctx, now)
	}
	return more, nil
}

func (c *Courier) room() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maxTurns - len(c.turns)
}

// lease takes up to limit endpoints and begins their turns.
func (c *Courier) lease(ctx, work, attempts context.Context, limit int) (int, error) {
	asked := time.Now()
	leased, err := within(ctx, func(ctx context.Context) ([]delivery.Leased, error) {
		return c.cfg.Store.LeaseEndpoints(ctx, c.cfg.Holder, stamp(asked), limit)
	})
	if err != nil {
		return 0, fmt.Errorf("take endpoints: %w", err)
	}
	for _, l := range leased {
		h := newHeld(l, asked)
		h.taken = true
		c.begin(work, attempts, h)
		if c.changes.since(asked) { // it may have been read before it was changed
			c.Changed(l.ID)
		}
	}
	return len(leased), nil
}

// begin begins the turn of an endpoint. One of which this process has a turn still, for
// it has not recorded all of its attempts, goes on with that.
func (c *Courier) begin(work, attempts context.Context, h *held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.turns[h.ID]; ok {
		t.mail.post(func(to *letters) { to.held = h })
		return
	}
	t := newTurn(c, h)
	c.turns[t.id] = t
	c.running.Go(func() { t.run(work, attempts) })
}

// end ends a turn, unless there is mail for it.
func (c *Courier) end(t *turn, next time.Time) bool {
	c.mu.Lock()
	if !t.mail.empty() {
		c.mu.Unlock()
		return false
	}
	delete(c.turns, t.id)
	if !t.lost {
		c.ended = append(c.ended, t.id)
	}
	c.mu.Unlock()
	c.expect(next)
	c.Wake()
	return true
}

// among asks which of the endpoints have something due that this process holds, and that
// know of nothing more to do.
func (c *Courier) among(ctx context.Context) error {
	idle := make(map[uuid.UUID]*turn)
	c.each(func(t *turn) {
		if t.content.Load() {
			idle[t.id] = t
		}
	})
	if len(idle) == 0 {
		return nil
	}
	ids := make([]uuid.UUID, 0, len(idle))
	for id := range idle {
		ids = append(ids, id)
	}
	due, err := within(ctx, func(ctx context.Context) ([]uuid.UUID, error) {
		return c.cfg.Store.DueAmong(ctx, ids, stamp(time.Now()))
	})
	if err != nil {
		return fmt.Errorf("look at %d endpoints: %w", len(ids), err)
	}
	for _, id := range due {
		idle[id].mail.post(func(to *letters) { to.due = true })
	}
	return nil
}

// foresee asks when something is due next of what nobody holds, after the last look.
func (c *Courier) foresee(ctx context.Context, looked time.Time) error {
	c.mu.Lock()
	c.expected.pass(looked)
	held := len(c.turns)
	c.mu.Unlock()
	c.cfg.Observer.held(held, c.records.len())
	next, err := within(ctx, func(ctx context.Context) (time.Time, error) {
		return c.cfg.Store.NextDue(ctx, stamp(looked))
	})
	if err != nil {
		return fmt.Errorf("ask when something is due next: %w", err)
	}
	if next.After(looked) {
		c.expect(next)
	}
	return nil
}

// yield ends the turns that have lasted for a while, for others that wait: an eighth of
// those at a time.
func (c *Courier) yield() {
	asked := 0
	c.each(func(t *turn) {
		if asked < maxTurns/8 && time.Since(t.began) > yieldAfter {
			asked++
			t.mail.post(func(to *letters) { to.stop = true })
		}
	})
}
