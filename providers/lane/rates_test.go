package lane_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
)

// sent is what was admitted, and what it used of a limit.
type sent struct {
	mu  sync.Mutex
	all []use
}

type use struct {
	at time.Time
	n  int64
}

func (s *sent) add(at time.Time, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, use{at, n})
}

// most returns the most that any window of the given length holds.
func (s *sent) most(window time.Duration) int64 {
	slices.SortFunc(s.all, func(a, b use) int { return a.at.Compare(b.at) })
	var most, sum int64
	first := 0
	for _, u := range s.all {
		sum += u.n
		for u.at.Sub(s.all[first].at) >= window {
			sum -= s.all[first].n
			first++
		}
		most = max(most, sum)
	}
	return most
}

func (s *sent) total() (n int64) {
	for _, u := range s.all {
		n += u.n
	}
	return n
}

// demand keeps workers busy for the given time: each asks as it is told, makes its
// call, settles, and asks again.
func (g *rig) demand(workers int, d time.Duration, next func(worker int) (lane.Ask, lane.Result, time.Duration), admitted func(lane.Ask, lane.Result)) {
	g.t.Helper()
	end := time.Now().Add(d)
	var all sync.WaitGroup
	for n := range workers {
		all.Go(func() {
			for time.Now().Before(end) {
				a, r, takes := next(n)
				a.Lane, a.Call = here, newCall(g.t)
				v := g.askFor(a)
				for ; !v.Admitted && time.Now().Before(end); v = g.askFor(a) {
					time.Sleep(v.For)
				}
				if !v.Admitted {
					return
				}
				admitted(a, r)
				time.Sleep(takes)
				g.settle(v.Permit, r)
			}
		})
	}
	all.Wait()
}

// TestRequestsPerMinute: at three times the demand, no minute has more than the
// limit and a second's burst, and next to nothing of the limit is left unused.
func TestRequestsPerMinute(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit  int64
		during time.Duration
	}{{6, time.Hour}, {60, 20 * time.Minute}, {500, 3 * time.Minute}, {3000, time.Minute / 2}} {
		t.Run(fmt.Sprint(c.limit), func(t *testing.T) {
			t.Parallel()
			inBubble(t, limited(lane.Limits{RequestsPerMinute: c.limit}), func(g *rig) {
				var s sent
				workers := int(max(3*c.limit*2/60, 3)) // calls take 2 s
				g.demand(workers, c.during, func(int) (lane.Ask, lane.Result, time.Duration) {
					return lane.Ask{}, good, 2 * time.Second
				}, func(lane.Ask, lane.Result) { s.add(time.Now(), 1) })
				if most, bound := s.most(time.Minute), c.limit+c.limit/60+1; most > bound {
					g.t.Errorf("%d in a minute, want at most %d", most, bound)
				}
				if got, want := float64(s.total()), 0.97*float64(c.limit)*c.during.Minutes(); got < want {
					g.t.Errorf("%.0f admitted, want at least %.0f", got, want)
				}
			})
		})
	}
}

// TestOutputTokensPerMinute: estimates are off by a random factor, and calls take
// from a second to a minute.
func TestOutputTokensPerMinute(t *testing.T) {
	t.Parallel()
	const limit = 10_000
	for _, c := range []struct {
		name string
		// bias and sigma shape the estimate: lognormal about bias times the truth.
		bias, sigma float64
		// most is what may be used of the limit. What is under way in the end has not been
		// corrected yet.
		most float64
	}{{"exact", 1, 0, 1.03}, {"off by a random factor", 1, 0.7, 1.03}, {"too low and off", 0.6, 0.7, 1.06}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, limited(lane.Limits{OutputTokensPerMinute: limit}), func(g *rig) {
				var s sent
				var mu sync.Mutex
				random := rand.New(rand.NewPCG(3, 4))
				const d = 20 * time.Minute
				g.demand(12, d, func(int) (lane.Ask, lane.Result, time.Duration) {
					mu.Lock()
					defer mu.Unlock()
					truth := int64(math.Exp(random.NormFloat64()*0.8 + 5.5))
					guess := int64(float64(truth) * c.bias * math.Exp(random.NormFloat64()*c.sigma))
					takes := time.Second + time.Duration(truth)*20*time.Millisecond
					return lane.Ask{Output: max(guess, 1)}, lane.Result{Usage: providers.Usage{Known: true, OutputTokens: truth}}, takes
				}, func(_ lane.Ask, r lane.Result) { s.add(time.Now(), r.Usage.OutputTokens) })
				used := float64(s.total()) / (limit * d.Minutes())
				over := float64(s.most(time.Minute)) / limit
				g.t.Logf("used %.1f %% of the limit, at most %.1f %% in a minute", 100*used, 100*over)
				if used < 0.9 || used > c.most {
					g.t.Errorf("used %.1f %% of the limit, want 90 %% to %.0f %%", 100*used, 100*c.most)
				}
			})
		})
	}
}

// TestACallThatNeedsMoreThanALimitIsSent: once, and the others wait for as long as
// it uses the limit up, a minute at most.
func TestACallThatNeedsMoreThanALimitIsSent(t *testing.T) {
	t.Parallel()
	inBubble(t, limited(lane.Limits{InputTokensPerMinute: 1000}), func(g *rig) {
		time.Sleep(time.Hour)
		big := lane.Ask{Lane: here, Call: newCall(g.t), Input: 900_000_000}
		g.ask(here) // what costs nothing is not metered
		time.Sleep(5 * time.Second)
		if v := g.askFor(big); !v.Admitted {
			g.t.Fatalf("got %+v, want a permit", v)
		}
		small := lane.Ask{Lane: here, Call: newCall(g.t), Input: 1}
		if v := g.askFor(small); v.Reason != lane.RateLimit || v.For < 50*time.Second || v.For > time.Minute {
			g.t.Errorf("got %+v, want a wait of about a minute", v)
		}
		g.admit()
	})
}

func TestReservationsAreCorrected(t *testing.T) {
	t.Parallel()
	known := func(output int64) providers.Usage { return providers.Usage{Known: true, OutputTokens: output} }
	for _, c := range []struct {
		name   string
		result lane.Result
		// wait is how long the limit is used up afterwards.
		wait time.Duration
	}{
		{"used as reserved", lane.Result{Usage: known(500)}, 29 * time.Second},
		{"used less", lane.Result{Usage: known(100)}, 5 * time.Second},
		{"used more", lane.Result{Usage: known(2000)}, 119 * time.Second},
		{"unknown", lane.Result{Class: providers.TimeoutTotal}, 29 * time.Second},
		{"cancelled", broken, 29 * time.Second},
		{"refused at the door", lane.Result{Class: providers.RateLimited}, 0},
		{"never sent", lane.Result{Unsent: true}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, limited(lane.Limits{OutputTokensPerMinute: 1000}), func(g *rig) {
				g.ask(here) // builds the lane, whose limits are used up then
				<-time.After(1100 * time.Millisecond)
				v := g.askFor(lane.Ask{Lane: here, Call: newCall(g.t), Output: 500})
				if !v.Admitted {
					g.t.Fatalf("got %+v, want a permit", v)
				}
				for range 3 {
					g.settle(v.Permit, c.result)
				}
				v = g.askFor(lane.Ask{Lane: here, Call: newCall(g.t), Output: 1})
				if v.For > c.wait || v.For < c.wait-time.Second {
					g.t.Errorf("wait %v, want about %v", v.For, c.wait)
				}
			})
		})
	}
}

func TestLimitsAreLearned(t *testing.T) {
	t.Parallel()
	onBoth(t, limited(lane.Limits{RequestsPerMinute: 6000}), func(g *rig) {
		g.settle(g.admitWithin(time.Second), good)
		told := providers.Quota{Requests: providers.QuotaLimit{Limit: 6, Remaining: 0}, Tokens: providers.QuotaLimit{Limit: -1}}
		g.settle(g.admitWithin(time.Second), lane.Result{Quota: told})
		if v := g.refuse(lane.RateLimit); v.For < 5*time.Second || v.For > 10*time.Second {
			g.t.Errorf("wait %v, want about the 10s of 6 a minute, because none is left", v.For)
		}
		if v := g.ask(lane.Lane{Pool: here.Pool, Target: "sim/two"}); !v.Admitted && v.For > time.Second {
			g.t.Errorf("another lane of the pool: got %+v, want its pool's pace", v)
		}
		state := g.states(here)[0]
		if state.Learned != (lane.Learned{Requests: 6}) || state.Requests > 7 {
			g.t.Errorf("got %+v, want what was learned", state)
		}
	})
}

func TestWhatWasLearnedIsForgotten(t *testing.T) {
	t.Parallel()
	inBubble(t, lane.Config{}, func(g *rig) {
		g.settle(g.admit(), lane.Result{Quota: providers.Quota{Requests: providers.QuotaLimit{Limit: 1}}})
		g.refuse(lane.RateLimit)
		time.Sleep(20 * time.Minute)
		for range 10 {
			g.admit()
		}
	})
}

func (g *rig) states(lanes ...lane.Lane) []lane.State {
	g.t.Helper()
	states, err := g.lanes.States(g.t.Context(), lanes...)
	if err != nil || len(states) != len(lanes) {
		g.t.Fatalf("States() = %d states, %v; want %d", len(states), err, len(lanes))
	}
	return states
}
