// Package backoff says how long to wait before something is tried again.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Policy grows a wait from Base by doubling up to Cap. The zero value waits
// not at all.
type Policy struct {
	Base time.Duration
	Cap  time.Duration
}

// Ceiling returns min(Cap, Base·2ⁿ); a negative n counts as zero.
func (p Policy) Ceiling(n int) time.Duration {
	d := min(p.Base, p.Cap)
	for range n {
		if d > p.Cap/2 {
			return p.Cap
		}
		d *= 2
	}
	return d
}

// Full returns a random wait in [0, Ceiling(n)]: "full jitter". It spreads
// callers best, and may be zero, so it suits waits for something shared by many.
func (p Policy) Full(n int) time.Duration {
	return time.Duration(rand.Int64N(int64(p.Ceiling(n)) + 1)) //nolint:gosec // spreads load, guards nothing
}

// Equal returns a random wait in [Ceiling(n)/2, Ceiling(n)]: never nearly
// zero, so a loop that waits by it cannot spin.
func (p Policy) Equal(n int) time.Duration {
	half := p.Ceiling(n) / 2
	return half + time.Duration(rand.Int64N(int64(half)+1)) //nolint:gosec // spreads load, guards nothing
}

// Wait waits for d, or until ctx ends and then returns its error.
func Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return ctx.Err()
	}
}
