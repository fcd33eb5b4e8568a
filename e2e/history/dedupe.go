package history

import "time"

// oneLiveExecution is invariant 3.
func (x *index) oneLiveExecution() {
	x.callsDoNotOverlap()
	for _, j := range x.Jobs {
		x.servedByItsExecution(j)
	}
}

// hash is what executions are shared by.
type hash struct{ tenant, hash string }

// callsDoNotOverlap: of all executions of a hash, and all their fences, the
// provider works on one call at a time. A call that nobody waits for any more
// may still be on its way to its end: of a worker that fell silent, or one that
// was cancelled.
func (x *index) callsDoNotOverlap() {
	alone := x.alone()
	busy := map[hash]ProviderCall{}
	for _, c := range x.started {
		e, ok := x.executions[c.Execution]
		if !ok {
			x.broken(3, "the provider was asked for execution %s, which is not there", c.Execution)
			continue
		}
		if x.given(c.Task) {
			continue
		}
		h := hash{e.Tenant, e.Hash}
		if alone[e.ID] {
			h.hash = e.ID
		}
		if before, ok := busy[h]; ok && c.Start.Before(before.end()) {
			x.broken(3, "two calls at once for one hash: %s fence %d from %s to %s, and %s fence %d from %s",
				before.Execution, before.Fence, clock(before.Start), clock(before.end()), c.Execution, c.Fence, clock(c.Start))
		}
		busy[h] = c
	}
}

// end is that of a call that is over; one that never ended lasts for ever.
func (c ProviderCall) end() time.Time {
	if c.End.IsZero() {
		return c.Start.Add(1000 * time.Hour)
	}
	return c.End
}

// given reports whether a call had been given up when it ended: its worker had
// fallen silent, or it was broken off.
func (x *index) given(t Task) bool {
	if x.held[t] {
		return true
	}
	for _, c := range x.calls[t] {
		if c.Status == cancelled {
			return true
		}
	}
	return false
}

// alone returns the executions that were asked for with dedupe off.
func (x *index) alone() map[string]bool {
	asked := map[string]bool{}
	for _, s := range x.Submissions {
		if s.accepted() && s.NoDedupe {
			asked[s.Job] = true
		}
	}
	alone := map[string]bool{}
	for _, j := range x.Jobs {
		if asked[j.ID] {
			alone[j.Execution] = true
		}
	}
	return alone
}

// servedByItsExecution: a job has the outcome of its execution, as its own
// deadline and its own caller shape it.
func (x *index) servedByItsExecution(j Job) {
	e, ok := x.executions[j.Execution]
	if !ok || e.Tenant != j.Tenant || e.Hash != j.Hash {
		x.broken(3, "job %s is attached to execution %s, which is not there or another's", j.ID, j.Execution)
		return
	}
	switch j.Status {
	case cancelled:
		if !x.Cancels[j.ID] && !x.cancelled[j.Batch] {
			x.broken(3, "job %s is cancelled and nobody asked for that", j.ID)
		}
	case expired:
		if j.Finished.Before(j.Deadline) && (e.Finished.IsZero() || e.Finished.Before(j.Deadline)) {
			x.broken(3, "job %s expired before its deadline", j.ID)
		}
	case succeeded, failed:
		if e.Status != j.Status || e.Error != j.Error {
			x.broken(3, "job %s is %s %s, its execution %s %s", j.ID, j.Status, j.Error, e.Status, e.Error)
		}
	}
	x.outcomeOf(j, e)
}

// outcomeOf: clients of one execution got one answer.
func (x *index) outcomeOf(j Job, e Execution) {
	if j.Status != succeeded {
		return
	}
	for _, s := range x.seen[j.ID] {
		if s.Status == succeeded && s.Outcome != e.Outcome {
			x.broken(3, "job %s was answered with another result than its execution's", j.ID)
			return
		}
	}
}
