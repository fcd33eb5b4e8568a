//go:build !race

package resilience

import (
	"fmt"
	"testing"
	"time"
)

// requestQuota asks for three times as many requests as the provider lets
// through.
var requestQuota = scenario{
	name: "requests a minute",
	run: func(t *testing.T, short bool) []row {
		t.Helper()
		length := 30 * time.Minute
		if short {
			length = 4 * time.Minute
		}
		const perMinute = 60
		a := usual("a")
		a.requestsPerMinute = perMinute
		worlds := contest(t, setting{
			seed: 1, providers: []provider{a}, arrivals: arrivals(length, time.Minute/(3*perMinute)),
			deadline: 6 * time.Hour, until: length,
		})
		// From when there is a backlog.
		const from = time.Minute
		of := func(who contender) (used, throttled float64) {
			var calls, refused, passed int
			for _, c := range worlds[who.name].calls {
				if c.at < from || c.at >= length {
					continue
				}
				calls++
				if c.throttled {
					refused++
				} else {
					passed++
				}
			}
			return float64(passed) / (length - from).Minutes() / perMinute, ratio(refused, calls)
		}
		cell := func(who contender) string {
			used, throttled := of(who)
			return fmt.Sprintf("%.1f %% / %.1f %%", 100*used, 100*throttled)
		}
		used, throttled := of(penstock)
		return []row{{
			what:     fmt.Sprintf("three times as many requests as the provider's %d a minute: quota used / calls answered 429", perMinute),
			penstock: cell(penstock), plain: cell(plain), obeying: cell(obeying),
			goal: "≥ 97 % / ≤ 1 %", met: used >= 0.97 && throttled <= 0.01,
		}}
	},
}

// hints has a provider with a limit that nobody was told of, eight processes, and a
// Redis that loses all it holds.
var hints = scenario{
	name: "hints",
	run: func(t *testing.T, short bool) []row {
		t.Helper()
		length := 8 * time.Minute
		if short {
			length = 4 * time.Minute
		}
		a := usual("a")
		a.requestsPerMinute, a.hint = 60, 5*time.Second
		s := setting{
			seed: 2, providers: []provider{a}, arrivals: arrivals(length, time.Minute/90),
			deadline: 6 * time.Hour, until: length, processes: 8, untold: true,
			meanwhile: func(f *fleet) {
				for _, eighths := range []int{3, 5, 7} {
					f.w.sleepUntil(length / 8 * time.Duration(eighths))
					f.flush()
				}
			},
		}
		worlds := contest(t, s)
		of := func(who contender) (early, throttled int) {
			calls := worlds[who.name].calls
			return count(calls, func(c *call) bool { return c.early }), count(calls, func(c *call) bool { return c.throttled })
		}
		cell := func(who contender) string {
			early, throttled := of(who)
			passed := len(worlds[who.name].calls) - throttled
			return fmt.Sprintf("%s of %s (%s hints), %.0f %% of the quota used", grouped(early), grouped(len(worlds[who.name].calls)),
				grouped(throttled), 100*float64(passed)/length.Minutes()/60)
		}
		early, told := of(penstock)
		return []row{{
			what:     "a limit nobody was told of, 8 processes, Redis emptied three times: calls earlier than a hint allowed that had arrived",
			penstock: cell(penstock), plain: cell(plain), obeying: cell(obeying),
			goal: "0", met: early == 0 && told > 0,
		}}
	},
}
