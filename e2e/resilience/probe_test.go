//go:build !race

package resilience

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// probes has a provider hang, so that a call that tests it takes long, and eight
// processes that might.
var probes = scenario{
	name: "probes",
	run: func(t *testing.T, short bool) []row {
		t.Helper()
		length := 40 * time.Minute
		if short {
			length = 13 * time.Minute
		}
		// What was called when it began to hang has given up by then.
		const from, noticed = 5 * time.Minute, 8 * time.Minute
		a := usual("a")
		a.incidents = []incident{{from: from, to: length, mode: hanging}}
		worlds := contest(t, setting{
			seed: 1, providers: []provider{a, usual("b")}, arrivals: arrivals(length, 4*time.Second), processes: 8,
			meanwhile: func(f *fleet) {
				// At all phases of a probe and of the time between two.
				for at := noticed; at < length-2*time.Minute; at += 97 * time.Second {
					f.w.sleepUntil(at)
					f.flush()
				}
			},
		})
		of := func(who contender) (most, all int) {
			var into []*call
			for _, c := range worlds[who.name].calls {
				if c.down && c.at >= noticed {
					into = append(into, c)
				}
			}
			return atOnce(into), len(into)
		}
		cell := func(who contender) string {
			most, all := of(who)
			return fmt.Sprintf("%d (%s in all)", most, grouped(all))
		}
		most, _ := of(penstock)
		return []row{{
			what: fmt.Sprintf("a provider hangs, 8 processes, Redis emptied every 97 s: calls to it at once, from three minutes on for %s",
				length-noticed),
			penstock: cell(penstock), plain: cell(plain), obeying: cell(obeying),
			goal: "1", met: most == 1,
		}}
	},
}

// atOnce is the most calls that were under way at once.
func atOnce(calls []*call) int {
	type change struct {
		at time.Duration
		by int
	}
	var changes []change
	for _, c := range calls {
		changes = append(changes, change{c.at, 1}, change{c.ended, -1})
	}
	slices.SortFunc(changes, func(a, b change) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return a.by - b.by // an end comes before a beginning
	})
	now, most := 0, 0
	for _, c := range changes {
		now += c.by
		most = max(most, now)
	}
	return most
}
