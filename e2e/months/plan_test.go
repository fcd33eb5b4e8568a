package months

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// plan is all that will be done from outside, drawn from one number: what
// clients ask for, what the providers are like, what breaks and when. How the
// goroutines of the processes take turns is not in it.
type plan struct {
	seed     uint64
	length   time.Duration
	arrivals []arrival
	faults   []fault
	// weather is, by provider, when it is not well.
	weather map[string][]spell
}

// absent is the model of a provider that no process has any more: what asks for it
// waits until its deadline.
const absent = "absent/m"

// arrival is a job that a client will ask for.
type arrival struct {
	at       time.Duration
	tenant   string
	model    string
	question int
	priority jobs.Priority
	timeout  time.Duration
	// alone asks for an execution of its own.
	alone bool
	// cancelAfter is when its client will have lost interest; zero: never.
	cancelAfter time.Duration
}

// fault is something that will break.
type fault struct {
	at   time.Duration
	what string
	// slot is the place of the process it happens to, where it matters.
	slot int
	// lasts is how long, where it matters.
	lasts time.Duration
}

// spell is a time in which a provider is not well.
type spell struct {
	what     string
	from, to time.Duration
}

// The spells of a provider.
const (
	down      = "down"      // it answers with errors, or not at all
	throttled = "throttled" // it answers 429 with a hint
)

// newPlan draws what happens to so many jobs in so many days.
func newPlan(seed uint64, days, count int) plan {
	rnd := rand.New(rand.NewPCG(seed, 0))
	p := plan{seed: seed, length: time.Duration(days) * 24 * time.Hour, weather: map[string][]spell{}}
	p.drawArrivals(rnd, count)
	p.drawFaults(rnd, days)
	for _, provider := range providerNames {
		p.drawWeather(rnd, provider, days)
	}
	slices.SortFunc(p.faults, func(a, b fault) int { return int(a.at - b.at) })
	return p
}

// drawArrivals spreads jobs with a rhythm of days: at the height of one there
// are nine times as many as at night. One in twelve asks what was asked just
// before, one in fifty is given up by its client.
func (p *plan) drawArrivals(rnd *rand.Rand, count int) {
	var times []time.Duration
	for len(times) < count {
		at := time.Duration(rnd.Int64N(int64(p.length)))
		if rhythm := 1 - 0.8*math.Cos(2*math.Pi*at.Hours()/24); rnd.Float64()*1.8 < rhythm {
			times = append(times, at)
		}
	}
	slices.Sort(times)
	for i, at := range times {
		a := arrival{
			at: at, tenant: fmt.Sprint("tenant ", int(6*rnd.Float64()*rnd.Float64())), model: "default", question: i,
			priority: pick(rnd, jobs.PriorityHigh, jobs.PriorityNormal, jobs.PriorityNormal, jobs.PriorityLow),
			timeout:  pick(rnd, 10*time.Minute, 30*time.Minute, time.Hour, 6*time.Hour, 24*time.Hour),
			alone:    rnd.IntN(100) == 0,
		}
		if int(at.Hours())%5 == 0 {
			a.model = "second/m"
		}
		if rnd.IntN(200) == 0 {
			a.model = absent
		}
		if i > 0 && rnd.IntN(12) == 0 {
			before := p.arrivals[max(0, i-1-rnd.IntN(3))]
			a.tenant, a.model, a.question = before.tenant, before.model, before.question
		}
		if rnd.IntN(50) == 0 {
			a.cancelAfter = lognormal(rnd, 20*time.Second, 1.5, time.Hour)
		}
		p.arrivals = append(p.arrivals, a)
	}
}

// drawFaults breaks each thing so many times a day. A process that is cut off
// is so either too shortly to be declared dead or long enough.
func (p *plan) drawFaults(rnd *rand.Rand, days int) {
	between := func(low, high time.Duration) time.Duration { return low + time.Duration(rnd.Int64N(int64(high-low))) }
	for _, kind := range []struct {
		what   string
		perDay int
		lasts  func() time.Duration
	}{
		{killLeader, 1, func() time.Duration { return between(time.Second, 2*time.Minute) }},
		{killProcess, 2, func() time.Duration { return between(time.Second, 5*time.Minute) }},
		{restart, 1, func() time.Duration { return between(time.Second, 10*time.Second) }},
		{cutOff, 2, func() time.Duration { return between(2*pace.Dead, 4*pace.Dead) }},
		{cutShortly, 3, func() time.Duration { return between(time.Second, pace.Dead-2*pace.Beat) }},
		{queueCut, 2, func() time.Duration { return between(time.Second, 5*time.Minute) }},
		{queueLost, 8, func() time.Duration { return 0 }},
		{storeAway, 3, func() time.Duration { return lognormal(rnd, time.Minute, 1, 20*time.Minute) }},
	} {
		for range kind.perDay * days {
			p.faults = append(p.faults, fault{
				at: time.Duration(rnd.Int64N(int64(p.length))), what: kind.what, slot: rnd.IntN(processes), lasts: kind.lasts(),
			})
		}
	}
}

// drawWeather makes a provider go down each four days and throttle each six, for
// a lognormal time with a median of 40 and 20 minutes. At the end of a time of
// throttling, when most jobs wait, the store goes away for a while.
func (p *plan) drawWeather(rnd *rand.Rand, provider string, days int) {
	for _, kind := range []struct {
		what       string
		everyDays  int
		median, at time.Duration
	}{
		{down, 4, 40 * time.Minute, 4 * time.Hour},
		{throttled, 6, 20 * time.Minute, time.Hour},
	} {
		for range max(1, days/kind.everyDays) {
			from := time.Duration(rnd.Int64N(int64(p.length)))
			s := spell{what: kind.what, from: from, to: from + lognormal(rnd, kind.median, 1, kind.at)}
			p.weather[provider] = append(p.weather[provider], s)
			if s.what == throttled {
				away := 5*time.Minute + time.Duration(rnd.Int64N(int64(10*time.Minute)))
				p.faults = append(p.faults, fault{at: s.to - time.Minute, what: storeAway, lasts: away})
			}
		}
	}
}

// at returns what a provider is like at a time since the beginning.
func (p *plan) at(provider string, now time.Duration) string {
	for _, s := range p.weather[provider] {
		if s.from <= now && now < s.to {
			return s.what
		}
	}
	return ""
}

func pick[T any](rnd *rand.Rand, from ...T) T { return from[rnd.IntN(len(from))] }

// lognormal draws a time with the given median, at most so long.
func lognormal(rnd *rand.Rand, median time.Duration, sigma float64, most time.Duration) time.Duration {
	return min(most, time.Duration(float64(median)*math.Exp(sigma*rnd.NormFloat64())))
}
