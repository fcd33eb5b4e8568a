package history

import "time"

const (
	// maxTries is what a route grants when it says nothing.
	maxTries = 5
	// longestWait is the longest delay before a try: the cap of the backoff, and
	// a provider's hint or for how long a breaker is open.
	longestWait = time.Minute + 2*time.Minute
	// maxCrashes is how many crashes poison an execution.
	maxCrashes = 3
)

// waitingIsNotFailing is invariant 5.
func (x *index) waitingIsNotFailing() {
	x.repeatedForAReason()
	x.triesAreFailures()
	x.failedForAReason()
}

// repeatedForAReason: under each fence the provider is asked once. It is asked
// again, under the next, after a failure; or after the silence of a worker, but
// only for what was in flight on it. A worker that fell silent between taking it and
// asking may ask when it wakes up, under a fence that is over by then.
func (x *index) repeatedForAReason() {
	before, asked := map[string]ProviderCall{}, map[Task]bool{}
	for _, c := range x.started {
		last, again := before[c.Execution]
		first := !asked[c.Task]
		asked[c.Task] = true
		if again && first && c.Fence < last.Fence && x.held[c.Task] {
			continue
		}
		before[c.Execution] = c
		switch {
		case !again:
		case last.Fence == c.Fence && x.failed(last.Task): // another target took its place in the same run
		case last.Fence == c.Fence:
			x.broken(5, "the provider was asked twice for execution %s under fence %d", c.Execution, c.Fence)
		case x.held[last.Task], x.failed(last.Task):
		default:
			x.broken(5, "execution %s was called again under fence %d at %s, though its call under %d had not failed"+
				" nor been in flight on a worker that died", c.Execution, c.Fence, clock(c.Start), last.Fence)
		}
	}
	for _, c := range x.Calls {
		if c.Status == "" && !x.held[c.Task] && !x.abandonedByTheDead(c.Task) {
			x.broken(5, "the call of execution %s under fence %d was never closed, and its worker did not die",
				c.Execution, c.Fence)
		}
	}
}

// noting is the most that passes between the provider's last byte and the note of it.
const noting = 200 * time.Millisecond

// abandonedByTheDead reports whether a process fell silent as it was about to break
// off a call that nobody waited for any more, or to note its answer: the store had
// forgotten whose it was when it was asked what the process held.
func (x *index) abandonedByTheDead(t Task) bool {
	if !x.executions[t.Execution].Finished.IsZero() {
		return false
	}
	for _, c := range x.started {
		if c.Task != t {
			continue
		}
		for _, f := range x.Faults {
			if len(f.Held) > 0 && c.Start.Before(f.From) && c.End.Add(noting).After(f.From) {
				return true
			}
		}
	}
	return false
}

// failed reports whether the store knows that a call failed.
func (x *index) failed(t Task) bool {
	for _, c := range x.calls[t] {
		if c.Status == "failure" || c.Status == "timeout" {
			return true
		}
	}
	return false
}

// triesAreFailures: an execution used up one try for each of its calls that
// failed in a way that counts, and none for anything else. What a silent worker
// brought later may or may not count, nor may what failed in an outage, of which
// the store does not keep the order.
func (x *index) triesAreFailures() {
	least, most, outages := map[string]int{}, map[string]int{}, 0
	for _, c := range x.Calls {
		if c.Outage && c.Status != cancelled {
			outages++
		}
	}
	for _, c := range x.Calls {
		if !c.Try || c.Status == cancelled || c.Status == "" {
			continue
		}
		most[c.Execution]++
		if !x.held[c.Task] && (!c.Outage || outages < 2) {
			least[c.Execution]++
		}
	}
	for _, e := range x.Executions {
		if e.Finished.IsZero() {
			continue
		}
		if e.Tries < least[e.ID] || e.Tries > most[e.ID] {
			x.broken(5, "execution %s used up %d tries, and %d to %d of its calls failed so", e.ID, e.Tries, least[e.ID], most[e.ID])
		}
		for _, j := range x.of[e.ID] {
			if (j.Status == succeeded || j.Status == failed) && j.Tries != e.Tries {
				x.broken(5, "job %s says %d tries, its execution %d", j.ID, j.Tries, e.Tries)
			}
		}
	}
}

// failedForAReason: an execution fails after its last try, or when the next
// would be after the last deadline, or for what no try would change; as poisoned
// only after three deaths.
func (x *index) failedForAReason() {
	final := map[string]string{}
	for _, c := range x.Calls {
		if c.Final && c.Status == "failure" {
			final[c.Execution] = c.Class
		}
	}
	deaths := map[string]int{}
	for t := range x.held {
		deaths[t.Execution]++
	}
	for _, e := range x.Executions {
		if e.Status != failed {
			continue
		}
		if e.Error == poisoned {
			if deaths[e.ID] < maxCrashes {
				x.broken(5, "execution %s is poisoned after %d deaths", e.ID, deaths[e.ID])
			}
			continue
		}
		if e.Error == final[e.ID] {
			continue
		}
		var last time.Time
		for _, j := range x.of[e.ID] {
			if j.Deadline.After(last) && (j.Finished.IsZero() || !j.Finished.Before(e.Finished)) { // else it had left
				last = j.Deadline
			}
		}
		if e.Tries < maxTries && e.Finished.Add(longestWait).Before(last) {
			x.broken(5, "execution %s failed (%s) after %d tries, with %s left", e.ID, e.Error, e.Tries, last.Sub(e.Finished))
		}
	}
}
