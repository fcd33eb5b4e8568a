package resilience

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// provider is what a simulated provider is like.
type provider struct {
	name string
	// first is the median time to the first token, lognormal with spread; perToken
	// the time of each token of the answer.
	first    time.Duration
	spread   float64
	perToken time.Duration
	// Of stragglers of the calls the first token comes later: by straggle at least,
	// three times as much at most, each time between them as likely as the other.
	stragglers float64
	straggle   time.Duration
	// errors is how many of the calls fail with 500, at a time when the provider is
	// well.
	errors float64
	// requests and outputTokens are what it lets through in a minute; zero: all.
	requestsPerMinute, outputTokens int
	// hint is the least that its hints ask for.
	hint      time.Duration
	incidents []incident
}

// usual is a provider that is well: an answer of the trace's usual length takes
// some seconds.
func usual(name string) provider {
	return provider{name: name, first: 800 * time.Millisecond, spread: 0.4, perToken: 20 * time.Millisecond}
}

// fate is how a call goes if nobody breaks it off.
type fate struct {
	// first is the time to the first token or, if there is none, to the failure;
	// rest is the time from there to the end.
	first, rest time.Duration
	// failure is nil when there is an answer. None has a first token.
	failure *providers.Error
}

// draw says how a call goes that begins at a time since the beginning. It draws
// the same numbers whatever the time.
func (p *provider) draw(rnd *rand.Rand, at time.Duration, outputTokens int) fate {
	f := fate{
		first: time.Duration(float64(p.first) * math.Exp(p.spread*rnd.NormFloat64())),
		rest:  time.Duration(outputTokens) * p.perToken,
	}
	straggles, errs, coin := rnd.Float64() < p.stragglers, rnd.Float64() < p.errors, rnd.IntN(2) == 0
	if straggles {
		f.first += time.Duration(float64(p.straggle) * (1 + 2*rnd.Float64()))
	}
	if i := p.incidentAt(at); i != nil {
		return i.shape(f, at, coin)
	}
	if errs {
		f.failure = &providers.Error{Class: providers.ServerError, HTTPStatus: 500, Message: "an error now and then"}
	}
	return f
}

// shape returns how a call goes that would have gone as f says.
func (i *incident) shape(f fate, at time.Duration, coin bool) fate {
	switch i.mode {
	case failing:
		overloaded := providers.Error{Class: providers.Overloaded, HTTPStatus: 503, Message: "an incident"}
		return fate{first: time.Second, failure: &overloaded}
	case refusing:
		return fate{failure: &providers.Error{Class: providers.Connection, Message: "an incident"}}
	case hanging:
		return fate{first: i.to - at, failure: &providers.Error{Class: providers.Connection, Message: "an incident"}}
	case degraded:
		f.first, f.rest = 10*f.first, 10*f.rest
		if coin {
			f.failure = &providers.Error{Class: providers.ServerError, HTTPStatus: 500, Message: "an incident"}
		}
	}
	return f
}

// incidentAt returns the incident at a time, or nil.
func (p *provider) incidentAt(at time.Duration) *incident {
	for n := range p.incidents {
		if i := &p.incidents[n]; i.from <= at && at < i.to {
			return i
		}
	}
	return nil
}
