package lane_test

import (
	"testing"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
)

var throttled = lane.Result{Class: providers.RateLimited, Hint: 10 * time.Second}

// admitted asks again and again for the given time, and returns when calls were
// let through, from its beginning on.
func (g *rig) admitted(d time.Duration) (at []time.Duration) {
	g.t.Helper()
	for begun := time.Now(); len(at) < 1000; {
		v := g.ask(here)
		switch {
		case v.Admitted:
			at = append(at, time.Since(begun))
		case time.Since(begun)+v.For > d:
			return at
		default:
			<-time.After(v.For)
		}
	}
	g.t.Fatalf("a thousand calls within %v", at[len(at)-1])
	return nil
}

// TestTrafficRampsBackWhenTheGateOpens: one call, and twice as many with each
// second, until a call is told to wait again; 256 are enough.
func TestTrafficRampsBackWhenTheGateOpens(t *testing.T) {
	t.Parallel()
	inBubble(t, lane.Config{}, func(g *rig) {
		g.settle(g.admit(), throttled)
		for _, again := range []bool{false, true} {
			time.Sleep(throttled.Hint + time.Millisecond)
			for seconds, want := range []int64{1, 2, 4, 8} {
				if r := g.room(time.Duration(seconds)*time.Second+time.Millisecond, here); r.Requests != want {
					g.t.Errorf("room for %d calls in %d s, want %d", r.Requests, seconds, want)
				}
			}
			at := g.admitted(3002 * time.Millisecond)
			for seconds, want := range []int{1, 2, 4, 8} {
				n := 0
				for _, d := range at {
					if d <= time.Duration(seconds)*time.Second+2*time.Millisecond {
						n++
					}
				}
				if n != want {
					g.t.Errorf("%d calls in %d s, want %d: %v", n, seconds, want, at)
				}
			}
			if !again {
				g.settle(g.admitWithin(time.Second), throttled)
			}
		}
		begun := time.Now()
		for range 256 {
			g.admitWithin(time.Second)
		}
		if d := time.Since(begun); d > 6*time.Second {
			g.t.Errorf("256 calls took %v more, want 5s or a little longer", d)
		}
		for range 100 {
			g.admit()
		}
	})
}

// TestAGateThatTheStoreKeptRampsToo: what Redis has lost does not open it at once.
func TestAGateThatTheStoreKeptRampsToo(t *testing.T) {
	t.Parallel()
	inBubble(t, lane.Config{}, func(g *rig) {
		g.settle(g.admit(), throttled)
		g.flush()
		g.refuse(lane.RateLimit)
		time.Sleep(throttled.Hint + time.Millisecond)
		g.admit()
		if v := g.refuse(lane.RateLimit); v.For < 900*time.Millisecond {
			g.t.Errorf("wait %v, want a second after the first", v.For)
		}
	})
}

// TestInvariant6AHintIsNotRoundedDown: clocks that count microseconds do not open a
// gate by less than one too early, also when Redis was emptied.
func TestInvariant6AHintIsNotRoundedDown(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(g *rig){"redis stays": func(*rig) {}, "redis is emptied": (*rig).flush} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, lane.Config{}, func(g *rig) {
				time.Sleep(900 * time.Nanosecond)
				const hint = time.Second + 900*time.Nanosecond
				told := time.Now()
				g.settle(g.admit(), lane.Result{Class: providers.RateLimited, Hint: hint})
				lose(g)
				g.admitWithin(2 * time.Second)
				if d := time.Since(told); d < hint {
					g.t.Errorf("a call after %v, want none before %v", d, hint)
				}
			})
		})
	}
}

// TestNotNowWithoutAHint: everybody waits for a moment, and comes back by and by.
// It is no hint: the store keeps nothing.
func TestNotNowWithoutAHint(t *testing.T) {
	t.Parallel()
	onBoth(t, lane.Config{}, func(g *rig) {
		first, second := g.admit(), g.admit()
		g.settle(first, lane.Result{Class: providers.RateLimited})
		if v := g.refuse(lane.RateLimit); v.For > time.Second {
			g.t.Errorf("wait %v, want a second", v.For)
		}
		if kept, err := g.store.Lane(g.t.Context(), here); err != nil || kept.Gate != 0 {
			g.t.Errorf("the store keeps %+v, %v; want no gate", kept, err)
		}
		g.settle(second, good)
		g.admitWithin(2 * time.Second)
		g.refuse(lane.RateLimit)
	})
}
