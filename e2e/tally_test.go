package e2e

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/e2e/history"
)

// summary is a line on what a round measured.
func summary(m history.Measures) string {
	s := fmt.Sprintf("%d jobs %v, %d lines of %d batches, %d calls", m.Jobs, m.Ended, m.Lines, m.Batches, m.ProviderCalls)
	if m.InFlight > 0 {
		s += fmt.Sprintf("; %d in flight on silent workers, %d repeated, %d late answers, %d saved",
			m.InFlight, m.Repeated, m.Late, m.Saved)
	}
	for _, d := range durations(&m) {
		if len(*d.values) > 0 {
			s += fmt.Sprintf("; %s after %s, at most %s of %d",
				d.what, short(history.Median(*d.values)), short(history.Max(*d.values)), len(*d.values))
		}
	}
	return s + fmt.Sprintf("; %d unanswered; at most %d calls at once", m.Unanswered, m.AtOnce)
}

// duration is a measure that has a median.
type duration struct {
	what   string
	values *[]time.Duration
}

func durations(m *history.Measures) []duration {
	return []duration{
		{"running elsewhere", &m.Elsewhere},
		{"accepting again", &m.Accepted},
		{"calling again", &m.Resumed},
		{"overdue ended", &m.Healed},
		{"503", &m.Refused},
	}
}

func short(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }

// tally adds up what rounds measured.
type tally struct {
	mu             sync.Mutex
	rounds, failed int
	sum            history.Measures
	// elsewhere is the last of each round in which a worker was killed and
	// nothing else was wrong.
	elsewhere []time.Duration
	// silent counts the rounds in which a worker fell silent.
	silent int
}

func (y *tally) add(p plan, m history.Measures, failed bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.rounds++
	if failed {
		y.failed++
	}
	if m.InFlight > 0 {
		y.silent++
	}
	y.sum.Jobs += m.Jobs
	y.sum.Batches += m.Batches
	y.sum.Lines += m.Lines
	y.sum.ProviderCalls += m.ProviderCalls
	y.sum.InFlight += m.InFlight
	y.sum.Repeated += m.Repeated
	y.sum.Late += m.Late
	y.sum.Saved += m.Saved
	y.sum.Unanswered += m.Unanswered
	if p.name() == "kill-worker" {
		y.elsewhere = append(y.elsewhere, history.Max(m.Elsewhere))
	}
	to, from := durations(&y.sum), durations(&m)
	for i := range to {
		*to[i].values = append(*to[i].values, *from[i].values...)
	}
}

// String says it in a few lines.
func (y *tally) String() string {
	lines := []string{
		fmt.Sprintf("%d rounds, %d broke an invariant", y.rounds, y.failed),
		fmt.Sprintf("%d jobs, %d provider calls, %d requests unanswered", y.sum.Jobs, y.sum.ProviderCalls, y.sum.Unanswered),
		fmt.Sprintf("%d batches, %d lines", y.sum.Batches, y.sum.Lines),
		fmt.Sprintf("%d rounds with a silent worker: %d calls in flight on it, %d of them made again, %d late answers, %d saved",
			y.silent, y.sum.InFlight, y.sum.Repeated, y.sum.Late, y.sum.Saved),
		fmt.Sprintf("a worker killed and nothing else: its last job elsewhere after %s, at most %s of %d rounds",
			short(history.Median(y.elsewhere)), short(history.Max(y.elsewhere)), len(y.elsewhere)),
	}
	for _, d := range durations(&y.sum) {
		lines = append(lines, fmt.Sprintf("%s: median %s, at most %s of %d",
			d.what, short(history.Median(*d.values)), short(history.Max(*d.values)), len(*d.values)))
	}
	return strings.Join(lines, "\nchaos: ")
}
