package latency_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/latency"
)

var bounds = latency.Bounds{
	Min: providers.Timeouts{Connect: time.Second, FirstToken: time.Second, Stall: 2 * time.Second, Total: 10 * time.Second},
	Max: providers.Timeouts{Connect: 10 * time.Second, FirstToken: time.Minute, Stall: 30 * time.Second, Total: 10 * time.Minute},
}

// observed is a fleet that saw n calls of which each is as sample says.
func observed(n int, sample func(i int) latency.Sample) *latency.Fleet {
	f := latency.NewFleet(latency.Config{})
	for i := range n {
		f.Record(target, sample(i))
	}
	return f
}

func usual(int) latency.Sample {
	return latency.Sample{
		Total: 10 * time.Second, FirstToken: time.Second, Gap: 2 * time.Second, InputTokens: 500, OutputTokens: 101,
	}
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	adapted := providers.Timeouts{Connect: 2 * time.Second, FirstToken: 2 * time.Second, Stall: 2500 * time.Millisecond, Total: 20 * time.Second}
	hang := func(every int, at time.Duration) func(int) latency.Sample {
		return func(i int) latency.Sample {
			if i%every == 0 {
				return latency.Sample{Total: at, Cut: true}
			}
			return usual(i)
		}
	}
	late := adapted
	late.Connect, late.FirstToken = 9*time.Second, 9*time.Second
	patient := adapted
	patient.Total = time.Minute
	for _, c := range []struct {
		name   string
		n      int
		sample func(int) latency.Sample
		size   latency.Size
		want   providers.Timeouts
	}{
		{"nothing known", 0, usual, latency.Size{}, bounds.Max},
		{"too little known", 49, usual, latency.Size{}, bounds.Max},
		{"twice the 99th percentile", 50, usual, latency.Size{}, adapted},
		{"a rare hang", 1000, hang(200, 20*time.Second), latency.Size{}, adapted},
		// 3 % hang and were cut at 9 s: no shorter than that.
		{"where too many were cut", 999, hang(33, 9*time.Second), latency.Size{}, late},
		{"hangs up to the bound say nothing", 999, hang(33, time.Minute), latency.Size{}, patient},
		{
			"all are cut", 100, func(int) latency.Sample { return latency.Sample{Total: 3 * time.Second, Cut: true} },
			latency.Size{},
			bounds.Max,
		},
		{
			"never beyond the bounds", 100,
			func(int) latency.Sample {
				return latency.Sample{Total: time.Hour, FirstToken: time.Hour, Gap: time.Hour}
			},
			latency.Size{},
			bounds.Max,
		},
		{
			"never below", 100,
			func(int) latency.Sample {
				return latency.Sample{Total: time.Millisecond, FirstToken: time.Millisecond, Gap: time.Millisecond}
			},
			latency.Size{},
			bounds.Min,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			check(t, latency.Timeouts(observed(c.n, c.sample).Summary(target), bounds, c.size), c.want)
		})
	}
}

func TestTimeoutsBySize(t *testing.T) {
	t.Parallel()
	s := observed(100, usual).Summary(target)
	large := latency.Timeouts(s, bounds, latency.Size{Input: 5000})
	if !near(large.FirstToken, 20*time.Second) || !near(large.Total, 200*time.Second) {
		t.Errorf("ten times the input: got %+v, want 20s and 200s", large)
	}
	// 9 s for 100 tokens behind the first.
	long := latency.Timeouts(s, bounds, latency.Size{Output: 1000})
	if !near(long.FirstToken, 2*time.Second) || !near(long.Total, 92*time.Second) {
		t.Errorf("an answer of 1000 tokens: got %+v, want 2s and 92s", long)
	}
}

func TestUnboundedTimeouts(t *testing.T) {
	t.Parallel()
	if got := latency.Timeouts(latency.Summary{}, latency.Bounds{}, latency.Size{}); got != (providers.Timeouts{}) {
		t.Errorf("nothing known: got %+v, want none", got)
	}
	got := latency.Timeouts(observed(100, usual).Summary(target), latency.Bounds{}, latency.Size{})
	check(t, got, providers.Timeouts{Connect: 2 * time.Second, FirstToken: 2 * time.Second, Stall: 2500 * time.Millisecond, Total: 20 * time.Second})
}

func check(t *testing.T, got, want providers.Timeouts) {
	t.Helper()
	if !near(got.Connect, want.Connect) || !near(got.FirstToken, want.FirstToken) || !near(got.Stall, want.Stall) ||
		!near(got.Total, want.Total) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A lane that cuts what is slow goes on knowing how slow it is: the timeout does
// not come down from one window to the next.
func TestTimeoutsDoNotRatchetDown(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	limit := bounds.Max.FirstToken
	var first time.Duration
	for round := range 12 {
		f := observed(2000, func(int) latency.Sample {
			takes := time.Duration(float64(time.Second) * math.Exp(1.1*r.NormFloat64()))
			return within(takes, limit)
		})
		limit = latency.Timeouts(f.Summary(target), bounds, latency.Size{}).FirstToken
		if round == 0 {
			first = limit
		}
		if limit < first*7/10 {
			t.Fatalf("window %d: %s, was %s at first", round, limit, first)
		}
	}
}

// Calls that became slow are told from calls that hang, because a few explore.
func TestTimeoutsGrowWithALane(t *testing.T) {
	t.Parallel()
	const hangs = 1000 * time.Hour
	for _, c := range []struct {
		name     string
		slow     time.Duration
		low, top time.Duration
	}{
		{"five in a hundred became slow", 20 * time.Second, 39 * time.Second, 41 * time.Second},
		{"five in a hundred hang", hangs, 2900 * time.Millisecond, 3100 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			limit, f := 3*time.Second, observed(200, usual)
			for range 10 {
				before := f.Summary(target)
				f = observed(2000, func(i int) latency.Sample {
					takes, patience := time.Second, limit
					if i%20 == 0 {
						takes = c.slow
					}
					if latency.Explore(before, bounds, uint64(i/20)) {
						patience = bounds.Max.FirstToken
					}
					return within(takes, patience)
				})
				limit = latency.Timeouts(f.Summary(target), bounds, latency.Size{}).FirstToken
			}
			if limit < c.low || limit > c.top {
				t.Errorf("got %s, want %s to %s", limit, c.low, c.top)
			}
		})
	}
}

// within is a call whose first token takes as long as given, under a timeout.
func within(takes, limit time.Duration) latency.Sample {
	if takes > limit {
		return latency.Sample{Total: limit, Cut: true}
	}
	return latency.Sample{Total: 2 * takes, FirstToken: takes}
}

// Three calls in five that the budget has room for take longer than the delay, also
// when the losers of hedges were cut off. Printed is what it would be without those.
func TestHedgeDelay(t *testing.T) {
	t.Parallel()
	if delay, ok := latency.HedgeDelay(observed(40, usual).Summary(target), .05); ok {
		t.Errorf("got %s from 40 calls", delay)
	}
	share := func(keepCut bool) float64 {
		r := rand.New(rand.NewPCG(7, 8))
		draw := func() time.Duration { return time.Duration(float64(time.Second) * math.Exp(.8*r.NormFloat64())) }
		f := observed(200, func(int) latency.Sample { return within(draw(), time.Hour) })
		hedged, calls := 0, 0
		for range 20 {
			delay, ok := latency.HedgeDelay(f.Summary(target), .05)
			if !ok {
				t.Fatal("no delay is known")
			}
			next := latency.NewFleet(latency.Config{})
			for range 1000 {
				calls++
				takes := draw()
				if takes <= delay {
					next.Record(target, within(takes, time.Hour))
					continue
				}
				hedged++
				second := draw() // of another target
				if takes <= delay+second || keepCut {
					next.Record(target, within(takes, delay+second))
				}
			}
			f = next
		}
		return float64(hedged) / float64(calls)
	}
	kept, left := share(true), share(false)
	t.Logf("hedged %.1f%% of the calls; %.1f%% if those that lost were left out", 100*kept, 100*left)
	if kept < .025 || kept > .035 {
		t.Errorf("hedged %.3f of the calls, want 0.03", kept)
	}
}
