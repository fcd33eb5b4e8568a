//go:build !race

package latency_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/latency"
)

// fate is how a call would go if nobody cut it.
type fate struct {
	input, output     int64
	first, gap, total time.Duration
	// lastSign is when the last piece comes.
	lastSign      time.Duration
	dead, stalled bool
}

const never = 1000 * time.Hour

// drawFate makes a call up: answers of 350 tokens in the median, 35 ms a token,
// both lognormal; one in 50 is a straggler that takes six times as long; one in
// 200 never begins to answer, one in 200 stops in the middle. slow is how much
// longer everything takes just now.
func drawFate(r *rand.Rand, slow float64) fate {
	lognormal := func(median, sigma float64) float64 { return median * math.Exp(sigma*r.NormFloat64()) }
	f := fate{input: int64(lognormal(600, 1)), output: min(int64(lognormal(350, 1))+1, 8192)}
	if r.IntN(50) == 0 {
		slow *= 6
	}
	span := func(seconds float64) time.Duration { return time.Duration(slow * seconds * float64(time.Second)) }
	f.first = span(lognormal(.5, .5) + .0002*float64(f.input))
	f.gap = span(lognormal(.3, .5))
	f.total = f.first + span(lognormal(.035, .3)*float64(f.output))
	f.lastSign = f.total
	switch r.IntN(200) {
	case 0:
		f.dead, f.first, f.gap, f.total, f.lastSign = true, never, 0, never, 0
	case 1:
		f.stalled = true
		f.lastSign = f.first + time.Duration(r.Float64()*float64(f.total-f.first))
		f.total = never
	}
	return f
}

// under is how the call goes under timeouts: how long, and whether it was cut.
func (f fate) under(t providers.Timeouts) (took time.Duration, cut bool) {
	took = f.total
	for _, end := range []struct {
		passed bool
		at     time.Duration
	}{
		{f.first > t.FirstToken, t.FirstToken},
		{f.gap > t.Stall, min(f.first+f.gap, f.total) + t.Stall},
		{f.stalled, f.lastSign + t.Stall},
		{f.total > t.Total, t.Total},
	} {
		if end.passed && end.at < took {
			took, cut = end.at, true
		}
	}
	return took, cut
}

// sample is what is recorded of it.
func (f fate) sample(t providers.Timeouts) latency.Sample {
	took, cut := f.under(t)
	s := latency.Sample{Total: took, Cut: cut, InputTokens: f.input}
	if f.first < took {
		s.FirstToken, s.Gap = f.first, min(f.gap, took-f.first)
		if cut && took > f.lastSign {
			s.Gap = max(s.Gap, took-f.lastSign)
		}
	}
	if !cut {
		s.OutputTokens = f.output
	}
	return s
}

// ended counts what became of calls.
type ended struct {
	calls, givenUp int
	// dead never began to answer, stalled stopped in the middle.
	dead, stalled silence
}

// silence is how long calls were silent before they were cut.
type silence struct {
	calls int
	total time.Duration
}

func (s *silence) add(d time.Duration) { s.calls, s.total = s.calls+1, s.total+d }

func (s *silence) mean() time.Duration {
	return (s.total / time.Duration(s.calls)).Round(10 * time.Millisecond)
}

func (e *ended) count(f fate, took time.Duration, cut bool) {
	e.calls++
	switch {
	case f.dead:
		e.dead.add(took)
	case f.stalled:
		e.stalled.add(took - min(took, f.lastSign))
	case cut:
		e.givenUp++
	}
}

// Two hours of a call each 250 ms, 30 minutes of them at half the speed, under
// adaptive timeouts and under a fixed one of 30 s for a whole call.
func TestAdaptiveAgainstFixed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limits := latency.Bounds{
			Min: providers.Timeouts{Connect: time.Second, FirstToken: 2 * time.Second, Stall: 2 * time.Second, Total: 30 * time.Second},
			Max: providers.Timeouts{Connect: 10 * time.Second, FirstToken: time.Minute, Stall: 30 * time.Second, Total: 10 * time.Minute},
		}
		fixed := providers.Timeouts{FirstToken: 30 * time.Second, Stall: 30 * time.Second, Total: 30 * time.Second}
		f, r := latency.NewFleet(latency.Config{}), rand.New(rand.NewPCG(9, 10))
		var adaptive, plain ended
		begun := time.Now()
		for n := uint64(0); time.Since(begun) < 2*time.Hour; n++ {
			slow := 1.0
			if at := time.Since(begun); at > 30*time.Minute && at < time.Hour {
				slow = 2
			}
			call, known := drawFate(r, slow), f.Summary(target)
			chosen := latency.Timeouts(known, limits, latency.Size{Input: call.input, Output: 8192})
			if latency.Explore(known, limits, n) {
				chosen = limits.Max
			}
			took, cut := call.under(chosen)
			time.AfterFunc(took, func() { f.Record(target, call.sample(chosen)) })
			adaptive.count(call, took, cut)
			took, cut = call.under(fixed)
			plain.count(call, took, cut)
			time.Sleep(250 * time.Millisecond)
		}
		time.Sleep(time.Hour)
		t.Logf("%d calls, of which %d would never begin to answer and %d stop in the middle",
			plain.calls, plain.dead.calls, plain.stalled.calls)
		t.Logf("given up though they would have ended: fixed %d, adaptive %d", plain.givenUp, adaptive.givenUp)
		t.Logf("a stall was noticed after: fixed %s, adaptive %s", plain.stalled.mean(), adaptive.stalled.mean())
		t.Logf("a call that never began after: fixed %s, adaptive %s", plain.dead.mean(), adaptive.dead.mean())
		if adaptive.givenUp*100 > plain.givenUp*72 {
			t.Errorf("gave up %d, want at least 28 %% fewer than %d", adaptive.givenUp, plain.givenUp)
		}
		if 3*adaptive.stalled.mean() > plain.stalled.mean() {
			t.Errorf("noticed stalls after %s, want a third of %s", adaptive.stalled.mean(), plain.stalled.mean())
		}
	})
}
