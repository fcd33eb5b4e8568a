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
// second, until a call is told to wait again: then it begins with half of what was
// let through. 256 are enough.
func TestTrafficRampsBackWhenTheGateOpens(t *testing.T) {
	t.Parallel()
	inBubble(t, lane.Config{}, func(g *rig) {
		g.settle(g.admit(), throttled)
		for i, wants := range [][]int{{1, 2, 4, 8}, {1, 6, 16, 36}} {
			time.Sleep(throttled.Hint + time.Millisecond)
			for seconds, want := range wants {
				if r := g.room(time.Duration(seconds)*time.Second+time.Millisecond, here); r.Requests != int64(want) {
					g.t.Errorf("room for %d calls in %d s, want %d", r.Requests, seconds, want)
				}
			}
			at := g.admitted(3002 * time.Millisecond)
			for seconds, want := range wants {
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
			if i == 0 { // the ninth
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

// TestWhatIsRefusedTogetherCountsOnce: of calls that are under way when one is told to
// wait, the others most likely are, too.
func TestWhatIsRefusedTogetherCountsOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, lane.Config{}, func(g *rig) {
		var all []lane.Permit
		for range 20 {
			all = append(all, g.admit())
		}
		for _, p := range all {
			g.settle(p, throttled)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(throttled.Hint)
		if r := g.room(time.Second, here); r.Requests < 11 || r.Requests > 13 {
			g.t.Errorf("room for %d calls in a second, want some 12: ten were let through before, by half", r.Requests)
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

// TestNotNowWithoutAHint: everybody waits for a moment, and comes back at once: a
// provider that is told to be busy now and then is not slowed down by it. It is no
// hint: the store keeps nothing.
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
		g.admit()
	})
}
