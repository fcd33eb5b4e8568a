//go:build !race

package resilience

import (
	"fmt"
	"testing"
	"time"
)

// tokenQuota asks for three times as many output tokens as the provider lets
// through.
var tokenQuota = scenario{
	name: "output tokens a minute",
	run: func(t *testing.T, short bool) []row {
		t.Helper()
		length := 30 * time.Minute
		if short {
			length = 9 * time.Minute
		}
		const perMinute = 6_000
		all := arrivals(length, time.Second)
		demand := 0
		for _, a := range all {
			demand += a.output
		}
		// So that the demand is three times the quota, whatever the trace's mean is.
		all = arrivals(length, time.Duration(float64(time.Second)*float64(demand)/length.Minutes()/(3*perMinute)))
		a := usual("a")
		a.outputTokens = perMinute
		worlds := contest(t, setting{
			seed: 1, providers: []provider{a}, arrivals: all, deadline: 6 * time.Hour, until: length,
		})
		// From when there is a backlog, and something was learned of the answers.
		const from = 5 * time.Minute
		of := func(who contender) (used, throttled float64) {
			var calls, refused, tokens int
			for _, c := range worlds[who.name].calls {
				if c.at < from || c.at >= length {
					continue
				}
				calls++
				if c.throttled {
					refused++
				} else {
					tokens += c.outputTokens
				}
			}
			return float64(tokens) / (length - from).Minutes() / perMinute, ratio(refused, calls)
		}
		cell := func(who contender) string {
			used, throttled := of(who)
			return fmt.Sprintf("%.1f %% / %.1f %%", 100*used, 100*throttled)
		}
		used, throttled := of(penstock)
		return []row{{
			what:     fmt.Sprintf("three times as many output tokens as the provider's %s a minute: quota used / calls answered 429", grouped(perMinute)),
			penstock: fmt.Sprintf("%s, estimates off by %.0f %%", cell(penstock), 100*worlds[penstock.name].misjudged()),
			plain:    cell(plain), obeying: cell(obeying),
			goal: "≥ 90 % / ≤ 1 %", met: used >= 0.9 && throttled <= 0.01,
		}}
	},
}
