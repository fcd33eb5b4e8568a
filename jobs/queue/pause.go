package queue

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

const (
	// sendTimeout bounds one try, so that a Redis that is away does not slow a
	// submission down.
	sendTimeout = 250 * time.Millisecond
	// sendPause is how long sending fails at once after it has failed.
	sendPause = time.Second
)

// errPaused says that nothing was sent because the last try failed.
var errPaused = errors.New("not tried: Redis did not answer a moment ago")

// pause keeps those who send from waiting, one after another, for a Redis that
// does not answer.
type pause struct {
	start time.Time
	// until is a time since start. While it is ahead, nothing is tried.
	until atomic.Int64
}

// try calls send within sendTimeout, unless the last try failed a moment ago.
func (p *pause) try(ctx context.Context, send func(context.Context) error) error {
	if !p.mayTry() {
		return errPaused
	}
	bounded, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	err := send(bounded)
	switch {
	case err == nil:
		p.until.Store(0)
	case ctx.Err() == nil: // the caller's own end says nothing about Redis
		p.until.Store(int64(time.Since(p.start) + sendPause))
	}
	return err
}

// mayTry reports whether to send. When a pause is over, one caller tries and
// the others pause on until it is known how that went.
func (p *pause) mayTry() bool {
	until, now := p.until.Load(), int64(time.Since(p.start))
	if until == 0 {
		return true
	}
	return now >= until && p.until.CompareAndSwap(until, now+int64(sendPause))
}
