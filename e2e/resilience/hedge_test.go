//go:build !race

package resilience

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// budget is the part of the calls that may be hedges, over any calls in a row of
// as many as window.
const (
	budget = 0.05
	window = 1000
)

// hedging has two providers of which one first token in fifty comes 20 to 60 s
// late.
var hedging = scenario{
	name: "hedging",
	run: func(t *testing.T, short bool) []row {
		t.Helper()
		length := 30 * time.Minute
		if short {
			length = 5 * time.Minute
		}
		a, b := usual("a"), usual("b")
		for _, p := range []*provider{&a, &b} {
			p.stragglers, p.straggle = 0.02, 20*time.Second
		}
		worlds := contest(t, setting{
			seed: 1, providers: []provider{a, b}, arrivals: arrivals(length, time.Second/4), hedge: budget,
		})
		// From when it is known how long first tokens take.
		const from = time.Minute
		p999 := func(who contender) time.Duration { return quantile(worlds[who.name].firstTokens(from), 0.999) }
		cell := func(who contender) string { return fmt.Sprintf("%.1f s", p999(who).Seconds()) }
		w := worlds[penstock.name]
		lower := p999(plain).Seconds() / p999(penstock).Seconds()
		extra, most := w.extra(window)
		return []row{{
			what: fmt.Sprintf("2 %% of first tokens 20 to 60 s late, %s jobs after the first minute: p99.9 to the first token of the answer; most hedges among %s calls in a row",
				grouped(len(w.firstTokens(from))), grouped(window)),
			penstock: fmt.Sprintf("%s (%.1f× lower than the plain loop's); %d (%s of all calls)",
				cell(penstock), lower, most, percent(extra, len(w.calls))),
			plain: cell(plain) + "; no hedges", obeying: cell(obeying) + "; no hedges",
			goal: "≥ 10× lower; ≤ 50", met: lower >= 10 && most <= budget*window,
		}}
	},
}

// firstTokens are the times from the arrival of each job that came after a time to
// the first token of its answer; a job without one took its whole deadline.
func (w *world) firstTokens(from time.Duration) []time.Duration {
	tokens := make([]time.Duration, len(w.jobs))
	for _, c := range w.calls {
		if c.outcome == "success" {
			tokens[c.question] = c.firstToken
		}
	}
	var times []time.Duration
	for i, j := range w.jobs {
		switch {
		case j.at < from:
		case j.ok:
			times = append(times, tokens[i]-j.at)
		default:
			times = append(times, w.deadline)
		}
	}
	return times
}

// extra counts the calls for a question that was asked before, and the most of them
// among so many calls in a row.
func (w *world) extra(window int) (all, most int) {
	asked := make(map[int]bool, len(w.jobs))
	again := make([]bool, len(w.calls))
	inside := 0
	for i, c := range w.calls {
		if again[i] = asked[c.question]; again[i] {
			all, inside = all+1, inside+1
		}
		asked[c.question] = true
		if i >= window && again[i-window] {
			inside--
		}
		most = max(most, inside)
	}
	return all, most
}

func TestSimExtraIsCountedInEveryWindow(t *testing.T) {
	t.Parallel()
	var w world
	for _, question := range []int{0, 1, 1, 2, 2, 3, 4, 4} {
		w.calls = append(w.calls, &call{question: question})
	}
	for window, want := range map[int]int{1: 1, 2: 1, 3: 2, 8: 3, 100: 3} {
		if all, most := w.extra(window); all != 3 || most != want {
			t.Errorf("%d in all and %d of %d in a row, want 3 and %d", all, most, window, want)
		}
	}
}

func TestSimTheFirstTokenIsThatOfTheAnswer(t *testing.T) {
	t.Parallel()
	w := world{
		setting: setting{deadline: time.Hour},
		jobs: []job{
			{arrival: arrival{at: 1 * time.Second}, ok: true},
			{arrival: arrival{at: 2 * time.Second}, ok: true},
			{arrival: arrival{at: 3 * time.Second}},
		},
		calls: []*call{
			{question: 0, firstToken: 2 * time.Second, outcome: "success"},
			{question: 1, firstToken: 4 * time.Second, outcome: "cancelled"},
			{question: 1, firstToken: 5 * time.Second, outcome: "success"},
			{question: 2, firstToken: 6 * time.Second, outcome: "timeout_total"},
		},
	}
	if got, want := w.firstTokens(2*time.Second), []time.Duration{3 * time.Second, time.Hour}; !slices.Equal(got, want) {
		t.Errorf("first tokens after %v, want %v", got, want)
	}
}
