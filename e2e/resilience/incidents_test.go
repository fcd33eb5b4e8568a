package resilience

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const day = 24 * time.Hour

// mode is how a provider is not well.
type mode int

const (
	// failing answers each call with 503 after a second.
	failing mode = iota
	// refusing refuses connections.
	refusing
	// hanging accepts each call and does not answer.
	hanging
	// degraded answers, ten times slower, and fails one call in two.
	degraded
)

// incident is a time in which a provider is not well.
type incident struct {
	from, to time.Duration
	mode     mode
}

// rate is how often a provider has incidents and how long they last.
type rate struct {
	// every is the mean time from the beginning of one to that of the next, which
	// is exponential; median is of their length, which is lognormal.
	every, median time.Duration
}

// sigma is the spread of the logarithm of an incident's length.
const sigma = 1.0

// The providers' rates, by their order in a route.
var rates = []rate{
	{every: 103*time.Hour + 12*time.Minute, median: 84 * time.Minute}, // 4.3 days
	{every: 177*time.Hour + 36*time.Minute, median: 40 * time.Minute}, // 7.4 days
	{every: 177*time.Hour + 36*time.Minute, median: 40 * time.Minute},
}

// incidents draws those of a provider. Two may overlap.
func (r rate) incidents(rnd *rand.Rand, length time.Duration) []incident {
	var all []incident
	for at := r.gap(rnd); at < length; at += r.gap(rnd) {
		lasts := time.Duration(float64(r.median) * math.Exp(sigma*rnd.NormFloat64()))
		all = append(all, incident{from: at, to: at + lasts, mode: mode(rnd.IntN(3))})
	}
	return all
}

func (r rate) gap(rnd *rand.Rand) time.Duration {
	return time.Duration(float64(r.every) * rnd.ExpFloat64())
}

// span is a time.
type span struct{ from, to time.Duration }

// union returns when there is an incident, in order, no two of which touch.
func union(all []incident) []span {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b incident) int { return int(a.from - b.from) })
	var spans []span
	for _, i := range all {
		if last := len(spans) - 1; last >= 0 && i.from <= spans[last].to {
			spans[last].to = max(spans[last].to, i.to)
			continue
		}
		spans = append(spans, span{i.from, i.to})
	}
	return spans
}

// both returns when there is a span of a and one of b.
func both(a, b []span) []span {
	var spans []span
	for _, x := range a {
		for _, y := range b {
			if from, to := max(x.from, y.from), min(x.to, y.to); from < to {
				spans = append(spans, span{from, to})
			}
		}
	}
	return spans
}

func within(spans []span, at time.Duration) bool {
	return slices.ContainsFunc(spans, func(s span) bool { return s.from <= at && at < s.to })
}

// left is how much of a time is in none of the spans, no two of which overlap.
func left(spans []span, of span) time.Duration {
	length := of.to - of.from
	for _, s := range both(spans, []span{of}) {
		length -= s.to - s.from
	}
	return length
}

func TestIncidentsAreAsOftenAndAsLongAsTheirRateSays(t *testing.T) {
	t.Parallel()
	for _, r := range rates[:2] {
		rnd := rand.New(rand.NewPCG(1, 1))
		const count = 10_000
		all := r.incidents(rnd, count*r.every)
		if got := float64(len(all)) / count; math.Abs(got-1) > 0.03 {
			t.Errorf("%s: %d incidents in %d times as long, want about as many", r.every, len(all), count)
		}
		var gaps, logs []float64
		for i, inc := range all {
			logs = append(logs, math.Log(float64(inc.to-inc.from)/float64(r.median)))
			if i > 0 {
				gaps = append(gaps, float64(inc.from-all[i-1].from)/float64(r.every))
			}
		}
		// An exponential time has a spread as large as its mean; the logarithm of a
		// lognormal one is normal round that of its median.
		for what, c := range map[string]struct{ got, want float64 }{
			"mean gap": {mean(gaps), 1}, "spread of gaps": {spread(gaps), 1},
			"log of the length": {mean(logs), 0}, "its spread": {spread(logs), sigma},
		} {
			if math.Abs(c.got-c.want) > 0.04 {
				t.Errorf("%s: %s is %.3f, want %.3f", r.every, what, c.got, c.want)
			}
		}
	}
}

func TestIncidentsAreThoseOfTheirSeed(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64) []incident { return rates[0].incidents(rand.New(rand.NewPCG(seed, 0)), 300*day) }
	if !slices.Equal(draw(3), draw(3)) {
		t.Error("one seed brought two plans")
	}
	if slices.Equal(draw(3), draw(4)) {
		t.Error("two seeds brought one plan")
	}
}

func TestSpans(t *testing.T) {
	t.Parallel()
	a := union([]incident{{from: 50, to: 60}, {from: 10, to: 30}, {from: 20, to: 40}, {from: 25, to: 26}})
	if want := []span{{10, 40}, {50, 60}}; !slices.Equal(a, want) {
		t.Errorf("union is %v, want %v", a, want)
	}
	joint := both(a, []span{{0, 15}, {35, 55}})
	if want := []span{{10, 15}, {35, 40}, {50, 55}}; !slices.Equal(joint, want) {
		t.Errorf("both is %v, want %v", joint, want)
	}
	for of, want := range map[span]time.Duration{{10, 40}: 0, {10, 41}: 1, {35, 55}: 10, {0, 100}: 60} {
		if got := left(a, of); got != want {
			t.Errorf("%d is left of %v, want %d", got, of, want)
		}
	}
	if !within(a, 10) || within(a, 40) {
		t.Error("a span begins with its first moment and ends before its last")
	}
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

func spread(values []float64) float64 {
	m, sum := mean(values), 0.0
	for _, v := range values {
		sum += (v - m) * (v - m)
	}
	return math.Sqrt(sum / float64(len(values)))
}
