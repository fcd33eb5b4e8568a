package months

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/penstock-dev/penstock/e2e/history"
)

// judge fails the test for each broken invariant, and for each job that expired
// or failed though nothing was in its way.
func (f *fleet) judge(h history.History) {
	f.t.Helper()
	const most = 20
	violations := history.Check(h)
	for i, v := range violations {
		if i == most {
			f.t.Errorf("and %d more", len(violations)-most)
			break
		}
		f.t.Errorf("%s", v)
	}
	if got, want := len(h.Jobs), len(f.plan.arrivals); got != want {
		f.t.Errorf("%d jobs are kept, want %d", got, want)
	}
	f.idle(h)
	if f.t.Failed() {
		f.t.Logf("the same month again: go test ./e2e/months -seed %d", f.plan.seed)
	}
}

// idle fails the test for jobs that expired while their providers were well and
// nothing was broken: then nobody worked for them.
func (f *fleet) idle(h history.History) {
	f.t.Helper()
	why := f.whyExpired(h)
	for _, j := range h.Jobs {
		if j.Status == "expired" && why(j) == "nothing" {
			f.t.Errorf("job %s of %s expired from %s to %s, and nothing was in its way",
				j.ID, j.Tenant, f.since(j.Created), f.since(j.Deadline))
		}
	}
}

func (f *fleet) since(at time.Time) time.Duration { return at.Sub(f.begun).Round(time.Millisecond) }

// whyExpired returns what says what was in the way of a job.
func (f *fleet) whyExpired(h history.History) func(j history.Job) string {
	return func(j history.Job) string {
		if f.hopeless[j.ID] {
			return "nobody had the provider"
		}
		return f.inTheWay(h, j)
	}
}

// inTheWay says what was wrong in the last of a job's time, the most telling
// first. What was over well before its deadline is no excuse.
func (f *fleet) inTheWay(h history.History, j history.Job) string {
	begun := j.Deadline.Add(-2 * pace.Dead)
	if j.Created.After(begun) {
		begun = j.Created
	}
	from, to := f.since(begun), f.since(j.Deadline)
	for _, kind := range []string{throttled, down} {
		for _, name := range providerNames {
			for _, s := range f.plan.weather[name] {
				if s.what == kind && s.from < to && from < s.to {
					return "a provider was " + kind
				}
			}
		}
	}
	for _, broken := range h.Faults {
		if broken.From.Before(j.Deadline) && broken.To.After(begun) {
			return broken.Name
		}
	}
	return "nothing"
}

// report prints what happened.
func (f *fleet) report(h history.History, took, simulated, all time.Duration) {
	f.t.Helper()
	m := history.Measure(h)
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	row := func(what string, value any) { fmt.Fprintf(w, "%s\t%v\n", what, value) }
	row("seed", f.plan.seed)
	row("virtual time", fmt.Sprintf("%.1f days", took.Hours()/24))
	row("real time", fmt.Sprintf("%s simulated, %s with the checks", simulated.Round(100*time.Millisecond), all.Round(100*time.Millisecond)))
	row("jobs", fmt.Sprintf("%d, executions %d", m.Jobs, m.Executions))
	rows(row, m.Ended)
	expired, why := map[string]int{}, f.whyExpired(h)
	lost := 0
	for _, j := range h.Jobs {
		switch j.Status {
		case "expired":
			expired[why(j)]++
		case "succeeded", "failed", "cancelled":
		default:
			lost++
		}
	}
	row("lost", lost)
	row("expired while", "")
	rows(row, expired)
	row("calls", m.ProviderCalls)
	outcomes := map[string]int{}
	for _, c := range h.Provider {
		outcomes[c.Outcome]++
	}
	rows(row, outcomes)
	faults := map[string]int{}
	for _, broken := range h.Faults {
		faults[broken.Name]++
	}
	row("broken", len(h.Faults))
	rows(row, faults)
	for _, name := range providerNames {
		for _, kind := range []string{down, throttled} {
			n, length := 0, time.Duration(0)
			for _, s := range f.plan.weather[name] {
				if s.what == kind {
					n, length = n+1, length+s.to-s.from
				}
			}
			row("provider "+name+" "+kind, fmt.Sprintf("%d times, %s", n, length.Round(time.Minute)))
		}
	}
	row("calls in flight on a silent process", m.InFlight)
	row("  made again", m.Repeated)
	row("  elsewhere after", fmt.Sprintf("%s at the median, %s at most", history.Median(m.Elsewhere).Round(time.Second), history.Max(m.Elsewhere).Round(time.Second)))
	row("  answers that came too late", m.Late)
	row("  answers saved", m.Saved)
	row("submissions refused while the store was away", len(m.Refused))
	row("due while the store was away", len(m.Healed))
	row("  ended after its return", fmt.Sprintf("%s at most", history.Max(m.Healed).Round(time.Millisecond)))
	row("calls at once", m.AtOnce)
	_ = w.Flush()
	f.t.Logf("\n%s", text.String())
}

func rows(row func(string, any), counts map[string]int) {
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		row("  "+what, counts[what])
	}
}
