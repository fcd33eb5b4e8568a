package lane_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
)

var (
	good   = lane.Result{}
	bad    = lane.Result{Class: providers.ServerError}
	broken = lane.Result{Class: providers.Cancelled}
)

// opened makes the breaker open by failures in a row, and returns the opening.
func (g *rig) opened() lane.Opening {
	g.t.Helper()
	for range 5 {
		if done := g.settle(g.admit(), bad); done.Opened.Number > 0 {
			return done.Opened
		}
	}
	g.t.Fatal("the breaker is closed after five failures in a row")
	return lane.Opening{}
}

// probe waits until a probe is let through.
func (g *rig) probe() lane.Permit {
	g.t.Helper()
	p := g.admitWithin(time.Minute)
	if !p.Probe || p.Within <= 0 {
		g.t.Fatalf("got %+v, want a probe with a bound", p)
	}
	return p
}

var quick = lane.Config{FirstOpening: 20 * time.Millisecond, LongestOpening: 80 * time.Millisecond}

func TestFailuresInARowOpenTheBreaker(t *testing.T) {
	t.Parallel()
	onBoth(t, lane.Config{}, func(g *rig) {
		for range 4 {
			g.settle(g.admit(), bad)
		}
		g.settle(g.admit(), good)
		if o := g.opened(); o != (lane.Opening{Number: 1, For: 20 * time.Second}) {
			g.t.Errorf("opening %+v, want the first, of 20s", o)
		}
		for _, lose := range []func(){func() {}, g.flush} {
			lose()
			if v := g.refuse(lane.Breaker); v.For < 19*time.Second || v.For > 20*time.Second {
				g.t.Errorf("wait %v, want about 20s", v.For)
			}
		}
		if v := g.ask(lane.Lane{Pool: here.Pool, Target: "sim/two"}); !v.Admitted {
			g.t.Errorf("another lane of the pool: got %+v, want a permit", v)
		}
	})
}

func TestOpeningsGrowAndAProbeCloses(t *testing.T) {
	t.Parallel()
	onBoth(t, quick, func(g *rig) {
		g.opened()
		for n, want := range []time.Duration{40 * time.Millisecond, 80 * time.Millisecond, 80 * time.Millisecond} {
			p := g.probe()
			g.refuse(lane.Breaker)
			done := g.settle(p, bad)
			if done.Opened != (lane.Opening{Number: n + 2, For: want}) {
				g.t.Errorf("after probe %d: opening %+v, want number %d of %v", n+1, done.Opened, n+2, want)
			}
			g.refuse(lane.Breaker)
		}
		if done := g.settle(g.probe(), good); !done.Closed {
			g.t.Errorf("got %+v, want a breaker that is closed", done)
		}
		g.flush()
		if p := g.admit(); p.Probe {
			g.t.Errorf("got %+v, want no probe once the breaker is closed", p)
		}
	})
}

// TestTrafficRampsBack: after the probe two calls at once, and one more with each
// that succeeds, and half as many after one that fails.
func TestTrafficRampsBack(t *testing.T) {
	t.Parallel()
	onBoth(t, quick, func(g *rig) {
		g.opened()
		g.settle(g.probe(), good)
		var under []lane.Permit
		fill := func() {
			for {
				v := g.ask(here)
				if !v.Admitted {
					if v.Reason != lane.Breaker {
						g.t.Fatalf("got %+v, want breaker", v)
					}
					return
				}
				under = append(under, v.Permit)
			}
		}
		next := func(r lane.Result) {
			g.settle(under[0], r)
			under = under[1:]
			fill()
		}
		fill()
		for want := 2; want <= 32; want++ {
			if len(under) != want {
				g.t.Fatalf("%d calls at once after %d successes, want %d", len(under), want-2, want)
			}
			if want == 32 {
				break
			}
			next(good)
		}
		next(bad)
		for len(under) > 16 {
			g.settle(under[0], broken)
			under = under[1:]
		}
		if v := g.ask(here); v.Admitted {
			g.t.Error("17 calls at once after a failure, want 16")
		}
		for _, p := range under {
			g.settle(p, good)
		}
		g.settle(g.admit(), good)
		for range 100 {
			g.admit()
		}
	})
}

func TestCancelledCountsAsNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, quick, func(g *rig) {
		for range 30 {
			g.settle(g.admit(), broken)
			g.settle(g.admit(), lane.Result{Class: providers.QuotaExhausted})
		}
		var under []lane.Permit
		for range 15 {
			under = append(under, g.admit())
		}
		next := func(r lane.Result) lane.Settled {
			p := under[0]
			under = under[1:]
			return g.settle(p, r)
		}
		for range 6 {
			next(lane.Result{Class: providers.RateLimited})
		}
		for range 4 { // and it does not interrupt a row of failures either
			next(bad)
			next(broken)
		}
		if done := next(bad); done.Opened.Number != 1 {
			g.t.Errorf("got %+v, want the first opening", done)
		}
		g.settle(g.probe(), broken)
		g.settle(g.probe(), lane.Result{Unsent: true})
		if p := g.probe(); p.Opening != 1 {
			g.t.Errorf("probe of opening %d, want 1: neither said anything", p.Opening)
		}
	})
}

// TestAnAnswerThatTheRequestIsWrongIsAnAnswer: the provider is well.
func TestAnAnswerThatTheRequestIsWrongIsAnAnswer(t *testing.T) {
	t.Parallel()
	inBubble(t, quick, func(g *rig) {
		for range 100 {
			g.settle(g.admit(), lane.Result{Class: providers.BadRequest})
		}
		g.opened()
		if done := g.settle(g.probe(), lane.Result{Class: providers.ContextLength}); !done.Closed {
			g.t.Errorf("got %+v, want it closed", done)
		}
	})
}

// Probes of what hangs are as far apart as those of what fails at once.
func TestOpeningsCountFromTheirProbes(t *testing.T) {
	t.Parallel()
	inBubble(t, lane.Config{}, func(g *rig) {
		g.opened()
		for n, c := range []struct{ took, want time.Duration }{
			{0, 40 * time.Second},
			{time.Minute, 20 * time.Second},
			{time.Minute, time.Minute},
			{time.Second, 119 * time.Second},
			{5 * time.Minute, 20 * time.Second},
		} {
			p := g.admitWithin(3 * time.Minute)
			done := g.settle(p, lane.Result{Class: providers.TimeoutFirstToken, Took: c.took})
			if done.Opened != (lane.Opening{Number: n + 2, For: c.want}) {
				g.t.Errorf("after a probe of %v: opening %+v, want number %d of %v", c.took, done.Opened, n+2, c.want)
			}
		}
	})
}

func TestAProbeThatIsToldToWaitIsNoProof(t *testing.T) {
	t.Parallel()
	inBubble(t, lane.Config{}, func(g *rig) {
		g.opened()
		g.settle(g.probe(), lane.Result{Class: providers.RateLimited})
		time.Sleep(g.refuse(lane.RateLimit).For)
		if v := g.refuse(lane.Breaker); v.For < 18*time.Second {
			g.t.Errorf("wait %v, want the first opening's 20s again", v.For)
		}
		if p := g.probe(); p.Opening != 1 {
			g.t.Errorf("probe of opening %d, want 1", p.Opening)
		}
	})
}

// TestAProbeWhoseWorkerDiedIsMadeAgain: once its time is over, and not before.
func TestAProbeWhoseWorkerDiedIsMadeAgain(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(g *rig){"redis stays": func(*rig) {}, "redis is emptied": (*rig).flush} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, lane.Config{ProbeTimeout: time.Minute}, func(g *rig) {
				g.opened()
				first := g.probe()
				lose(g)
				begun := time.Now()
				for {
					v := g.ask(here)
					if v.Admitted {
						break
					}
					if v.Reason != lane.Breaker {
						g.t.Fatalf("got %+v, want breaker", v)
					}
					time.Sleep(v.For)
				}
				if d := time.Since(begun); d < time.Minute || d > 2*time.Minute {
					g.t.Errorf("the next probe came after %v, want more than the first could last", d)
				}
				if done := g.settle(first, good); done.Closed {
					g.t.Error("a probe whose time was over closed the breaker")
				}
				g.refuse(lane.Breaker)
			})
		})
	}
}

// TestWhatWasSentBeforeSaysNothing: a slow call that was sent into the outage fails
// when all is well again.
func TestWhatWasSentBeforeSaysNothing(t *testing.T) {
	t.Parallel()
	inBubble(t, lane.Config{}, func(g *rig) {
		var slow []lane.Permit
		for range 20 {
			slow = append(slow, g.admit())
		}
		g.opened()
		g.settle(g.probe(), good)
		for _, p := range slow {
			if done := g.settle(p, bad); !done.Now || done.Opened.Number > 0 {
				g.t.Fatalf("got %+v, want it settled and the breaker closed", done)
			}
		}
	})
}

// TestInvariant8OneProbe: eight processes ask without end while Redis is emptied
// again and again. Never do two probes run at once, and none goes without a bound.
func TestInvariant8OneProbe(t *testing.T) {
	t.Parallel()
	onBoth(t, quick, func(g *rig) {
		g.opened()
		var running, most, probes atomic.Int64
		stop := make(chan struct{})
		var all sync.WaitGroup
		for range 8 {
			lanes := g.join(quick)
			all.Go(func() {
				for range 100 {
					a := lane.Ask{Lane: here, Call: newCall(g.t)}
					g.store.Begin(here, a.Call)
					v, err := lanes.Admit(g.t.Context(), a)
					if err != nil {
						g.t.Errorf("Admit() = %v", err)
					}
					if v.Admitted {
						if !v.Permit.Probe {
							g.t.Errorf("got %+v while the breaker is open, want a probe", v)
						}
						probes.Add(1)
						storeMax(&most, running.Add(1))
						<-time.After(20 * time.Millisecond)
						running.Add(-1)
						if _, err := lanes.Settle(g.t.Context(), v.Permit, bad); err != nil {
							g.t.Errorf("Settle() = %v", err)
						}
					}
					g.store.End(a.Call)
					<-time.After(2 * time.Millisecond)
				}
			})
		}
		var flushing sync.WaitGroup
		flushing.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(7 * time.Millisecond):
					g.redis.FlushDB(g.t.Context())
				}
			}
		})
		all.Wait()
		close(stop)
		flushing.Wait()
		if most.Load() > 1 || probes.Load() == 0 {
			g.t.Errorf("%d probes, at most %d at once; want some, one at a time", probes.Load(), most.Load())
		}
	})
}

func storeMax(to *atomic.Int64, n int64) {
	for {
		now := to.Load()
		if n <= now || to.CompareAndSwap(now, n) {
			return
		}
	}
}

// TestDownIsKnownOfALane: from the second failure in a row, whosever it is, and as
// long as the breaker is open.
func TestDownIsKnownOfALane(t *testing.T) {
	t.Parallel()
	onBoth(t, quick, func(g *rig) {
		under := g.admit()
		for i, c := range []struct {
			result lane.Result
			down   bool
		}{
			{bad, false}, {bad, true}, {broken, false}, {bad, true}, {good, false}, {bad, false}, {good, false},
		} {
			if done := g.settle(g.admit(), c.result); done.Down != c.down {
				g.t.Errorf("call %d: got %+v, want down %v", i, done, c.down)
			}
		}
		g.opened()
		if done := g.settle(under, bad); !done.Down {
			g.t.Errorf("a call that was under way as the breaker opened: got %+v, want down", done)
		}
		if done := g.settle(g.probe(), bad); !done.Down {
			g.t.Errorf("a probe that failed: got %+v, want down", done)
		}
		p := g.probe()
		g.flush()
		if done := g.settle(p, bad); !done.Down {
			g.t.Errorf("a probe that failed after Redis was emptied: got %+v, want down", done)
		}
		if done := g.settle(g.probe(), good); done.Down {
			g.t.Errorf("a probe that did not fail: got %+v, want nothing down", done)
		}
		if done := g.settle(g.admit(), bad); done.Down {
			g.t.Errorf("the first failure since then: got %+v, want nothing down", done)
		}
	})
}
