package transport

import (
	"context"
	"fmt"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// clocks end a call's context when one of its four bounds is passed. The
// context's cause then is an expired. A bound of zero is no clock.
type clocks struct {
	limits providers.Timeouts
	cancel context.CancelCauseFunc
	total  *time.Timer

	mu      sync.Mutex // the hooks of httptrace run on other goroutines, some after the call
	done    bool
	connect *time.Timer
	first   *time.Timer
	stall   *time.Timer
	reached bool      // a connection was ready
	sent    time.Time // moved on by what rest took
	rested  time.Time
	ttft    time.Duration
}

// expired is the cause of a context that a clock ended.
type expired struct {
	class providers.Class
	limit time.Duration
}

func (e expired) Error() string { return fmt.Sprintf("%s after %s", e.class, e.limit) }

// startClocks starts the total clock and the one for connecting. Call stop at
// the end, always.
func startClocks(ctx context.Context, limits providers.Timeouts) (*clocks, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	c := &clocks{limits: limits, cancel: cancel, sent: time.Now()}
	c.total = c.after(limits.Total, providers.TimeoutTotal)
	c.connecting()
	return c, httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { c.connecting() },
		GotConn: func(httptrace.GotConnInfo) { c.connected() },
	})
}

func (c *clocks) after(limit time.Duration, class providers.Class) *time.Timer {
	if limit <= 0 {
		return nil
	}
	return time.AfterFunc(limit, func() { c.cancel(expired{class, limit}) })
}

// connecting starts the clock for connecting. net/http connects again when a
// kept connection turns out to be closed before anything was written to it.
func (c *clocks) connecting() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return
	}
	stop(c.connect)
	stop(c.first)
	c.reached = false
	c.connect = c.after(c.limits.Connect, providers.TimeoutConnect)
}

// connected starts the clock for the first token.
func (c *clocks) connected() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return
	}
	stop(c.connect)
	stop(c.first)
	c.reached = true
	c.sent = time.Now()
	c.first = c.after(c.limits.FirstToken, providers.TimeoutFirstToken)
}

// piece notes that something of the answer came; substance says whether it
// can be the first token.
func (c *clocks) piece(substance bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.stall != nil:
		c.stall.Reset(c.limits.Stall)
	case substance && c.ttft == 0:
		stop(c.first)
		c.ttft = max(time.Since(c.sent), 1) // zero means none came
		c.stall = c.after(c.limits.Stall, providers.TimeoutStall)
	}
}

// rest stops the clocks that wait for the server's next piece, until resume.
func (c *clocks) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	stop(c.stall)
	stop(c.first)
	c.rested = time.Now()
}

// resume lets them go on, as if no time had passed.
func (c *clocks) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stall != nil {
		c.stall.Reset(c.limits.Stall)
	}
	if c.ttft != 0 {
		return
	}
	c.sent = c.sent.Add(time.Since(c.rested))
	if c.first != nil {
		c.first.Reset(c.limits.FirstToken - time.Since(c.sent))
	}
}

// grace ends the context after d, whatever the other clocks say.
func (c *clocks) grace(d time.Duration) (release func()) {
	timer := time.AfterFunc(d, func() { c.cancel(context.DeadlineExceeded) })
	return func() { timer.Stop() }
}

// stop stops every clock and ends the context.
func (c *clocks) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = true
	for _, timer := range []*time.Timer{c.total, c.connect, c.first, c.stall} {
		stop(timer)
	}
	c.cancel(context.Canceled)
}

// timeToFirstToken is zero when none came.
func (c *clocks) timeToFirstToken() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ttft
}

func (c *clocks) hasConnected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reached
}

func stop(timer *time.Timer) {
	if timer != nil {
		timer.Stop()
	}
}
