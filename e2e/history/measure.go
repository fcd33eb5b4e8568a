package history

import (
	"slices"
	"sort"
	"time"
)

// Measures are how long things took, and how often they were done twice.
type Measures struct {
	// Jobs, Executions and ProviderCalls count what there was, Ended the jobs by
	// their status.
	Jobs, Executions, ProviderCalls int
	Ended                           map[string]int
	// Batches and Lines count what ended of those.
	Batches, Lines int
	// InFlight counts the calls that were in flight on processes which fell
	// silent, Repeated those of them that were made again.
	InFlight, Repeated int
	// Elsewhere is, for each call made again, how long after the silence began.
	Elsewhere []time.Duration
	// Healed is, for each job whose deadline passed while the store was away,
	// how long after its return the job ended.
	Healed []time.Duration
	// Accepted is, for each time the store was away, how long after its return
	// the first job was accepted.
	Accepted []time.Duration
	// Resumed is, for each time the store or the queue was away, how long after
	// its return the first call was made.
	Resumed []time.Duration
	// Refused is, for each answer 503, how long it took; Unanswered counts
	// requests without any answer.
	Refused    []time.Duration
	Unanswered int
	// Late counts whole answers of workers that had lost their execution to
	// another by then: they were recorded and changed nothing. Saved counts those
	// for which nobody else had begun: they are the result.
	Late, Saved int
	// AtOnce is the greatest number of calls at the provider at one time, without
	// those of workers that had fallen silent.
	AtOnce int
}

// Measure takes the measures of h.
func Measure(h History) Measures {
	x := newIndex(h)
	m := Measures{
		Jobs: len(h.Jobs), Executions: len(h.Executions), ProviderCalls: len(h.Provider), Ended: map[string]int{},
		InFlight: len(x.held), AtOnce: x.atOnce(),
	}
	for _, j := range h.Jobs {
		m.Ended[j.Status]++
	}
	for _, b := range h.Kept {
		m.Batches, m.Lines = m.Batches+1, m.Lines+len(b.Results)
	}
	for _, s := range h.Submissions {
		switch {
		case s.Status == 0:
			m.Unanswered++
		case !s.accepted():
			m.Refused = append(m.Refused, s.Answered.Sub(s.Sent))
		}
	}
	again := x.again()
	for _, f := range h.Faults {
		x.elsewhere(&m, f, again)
		if f.StoreAway && x.ends(f) {
			x.healed(&m, f)
		}
		if (f.StoreAway || f.QueueAway) && x.ends(f) {
			x.resumed(&m, f)
		}
	}
	m.Repeated = len(m.Elsewhere)
	for _, c := range h.Calls {
		e := x.executions[c.Execution]
		switch {
		case !x.held[c.Task] || c.Status != "success":
		case c.Fence == e.Fence:
			m.Saved++
		case c.Fence < e.Fence:
			m.Late++
		}
	}
	return m
}

// ends reports whether all is back when f ends: no other outage goes on.
func (x *index) ends(f Fault) bool {
	for _, other := range x.Faults {
		if (other.StoreAway || other.QueueAway) && other.From.Before(f.To) && other.To.After(f.To) {
			return false
		}
	}
	return true
}

func (x *index) resumed(m *Measures, f Fault) {
	i := sort.Search(len(x.started), func(i int) bool { return x.started[i].Start.After(f.To) })
	if i < len(x.started) {
		m.Resumed = append(m.Resumed, x.started[i].Start.Sub(f.To))
	}
}

// again returns, for each call that was followed by another of its execution,
// when that began.
func (x *index) again() map[Task]time.Time {
	next := map[Task]time.Time{}
	before := map[string]Task{}
	for _, c := range x.started {
		if last, ok := before[c.Execution]; ok {
			next[last] = c.Start
		}
		before[c.Execution] = c.Task
	}
	return next
}

// elsewhere measures when what f's process held was called again.
func (x *index) elsewhere(m *Measures, f Fault, next map[Task]time.Time) {
	for _, t := range f.Held {
		if again, ok := next[t]; ok && !x.failed(t) {
			m.Elsewhere = append(m.Elsewhere, again.Sub(f.From))
		}
	}
}

func (x *index) healed(m *Measures, f Fault) {
	for _, j := range x.Jobs {
		if j.Deadline.After(f.From) && j.Deadline.Before(f.To) && j.Finished.After(f.To) {
			m.Healed = append(m.Healed, j.Finished.Sub(f.To))
		}
	}
	first := time.Duration(-1)
	for _, s := range x.Submissions {
		if after := s.Answered.Sub(f.To); s.accepted() && after > 0 && (first < 0 || after < first) {
			first = after
		}
	}
	if first >= 0 {
		m.Accepted = append(m.Accepted, first)
	}
}

// atOnce sweeps over the beginnings and ends of calls.
func (x *index) atOnce() int {
	type edge struct {
		at time.Time
		by int
	}
	var edges []edge
	for _, c := range x.Provider {
		if !x.given(c.Task) {
			edges = append(edges, edge{c.Start, 1}, edge{c.end(), -1})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int {
		if d := a.at.Compare(b.at); d != 0 {
			return d
		}
		return a.by - b.by
	})
	now, most := 0, 0
	for _, e := range edges {
		now += e.by
		most = max(most, now)
	}
	return most
}

// Median returns the middle of d, and Max the greatest; zero when d is empty.
func Median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(d))[len(d)/2]
}

// Max returns the greatest of d, zero when d is empty.
func Max(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	return slices.Max(d)
}
