package history

import (
	"cmp"
	"slices"
)

// oneOutcome is invariant 2.
func (x *index) oneOutcome() {
	x.terminalNeverChanges()
	x.resultsAreFenced()
}

// terminalNeverChanges: what clients were told agrees with itself and with the
// store.
func (x *index) terminalNeverChanges() {
	for id, seen := range x.seen {
		j, ok := x.jobs[id]
		if !ok {
			x.broken(2, "job %s was seen %s and is not there", id, seen[0].Status)
			continue
		}
		x.agree(j, seen)
	}
}

// agree looks at the sightings of one job, in the order of their answers.
func (x *index) agree(j Job, seen []Sighting) {
	var first *Sighting
	for i, s := range seen {
		switch {
		case s.Status == Missing:
			x.broken(1, "job %s was accepted, and not there at %s", j.ID, clock(s.Answered))
			return
		case terminal(s.Status) && s.Status != j.Status:
			x.broken(2, "job %s was %s at %s and is %s", j.ID, s.Status, clock(s.Answered), j.Status)
			return
		case terminal(s.Status) && first == nil:
			first = &seen[i]
		case terminal(s.Status) && s.Outcome != first.Outcome:
			x.broken(2, "job %s was answered with two outcomes", j.ID)
			return
		case !terminal(s.Status) && first != nil && s.Sent.After(first.Answered):
			x.broken(2, "job %s was %s at %s and %s after that", j.ID, first.Status, clock(first.Answered), s.Status)
			return
		}
	}
}

// resultsAreFenced: a result is the answer to a call that was made under its
// fence, and no later fence had been claimed when it was kept.
func (x *index) resultsAreFenced() {
	asked, answers := map[Task][]string{}, false
	for _, c := range x.Provider { // several, where one target was called after another
		asked[c.Task] = append(asked[c.Task], c.Answer)
		answers = answers || c.Answer != ""
	}
	latest := map[string]int64{}
	for _, c := range x.Calls {
		latest[c.Execution] = max(latest[c.Execution], c.Fence)
	}
	for _, e := range x.Executions {
		if e.Finished.IsZero() || e.Fence == 0 {
			continue
		}
		answer, ok := asked[Task{e.ID, e.Fence}]
		switch {
		case e.Status != succeeded:
		case !ok:
			x.broken(2, "execution %s has a result under fence %d, and the provider was not asked under it", e.ID, e.Fence)
		case answers && !slices.Contains(answer, e.Outcome):
			x.broken(2, "execution %s has a result under fence %d that is not the answer to a call under it", e.ID, e.Fence)
		}
		if latest[e.ID] > e.Fence {
			x.broken(2, "execution %s was finished under fence %d while fence %d was running", e.ID, e.Fence, latest[e.ID])
		}
	}
}

// byStart returns the provider's calls in the order in which they began.
func byStart(calls []ProviderCall) []ProviderCall {
	return slices.SortedFunc(slices.Values(calls), func(a, b ProviderCall) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Fence, b.Fence))
	})
}
