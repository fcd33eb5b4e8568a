package history

import (
	"slices"
	"time"
)

const (
	// healing is how long after the store's return all that was due must end.
	healing = 5 * time.Second
	// upkeep is what ending a job at its deadline may take: a look each half
	// second, and a machine that is busy with the very test.
	upkeep = 2 * time.Second
	// locked is how long Postgres keeps the locks of a process that fell silent
	// in the middle of a transaction.
	locked = 1500 * time.Millisecond
)

// acceptedMeansKept is invariant 1.
func (x *index) acceptedMeansKept() {
	x.answersAreKept()
	x.nothingElseIsKept()
	x.refusalsSaySo()
	x.allEnded()
	x.byDeadline()
}

// answersAreKept: each job that was accepted is there, and a key names one.
func (x *index) answersAreKept() {
	byKey := map[string]string{}
	for _, s := range x.Submissions {
		if !s.accepted() {
			continue
		}
		if first, ok := byKey[s.Key]; ok && first != s.Job {
			x.broken(1, "key %s was answered with job %s and with job %s", s.Key, first, s.Job)
		}
		byKey[s.Key] = s.Job
		if j, ok := x.jobs[s.Job]; !ok || j.Tenant != s.Tenant {
			x.broken(1, "job %s of tenant %s was accepted (%d) and is lost", s.Job, s.Tenant, s.Status)
		}
	}
	for id := range x.Retries {
		if _, ok := x.jobs[id]; !ok {
			x.broken(1, "job %s, a retry, was accepted and is lost", id)
		}
	}
}

// nothingElseIsKept: each job is one that a client asked for, once. A
// submission whose answer was lost is repeated until one arrives, so that in
// the end each kept job was accepted to somebody's face.
func (x *index) nothingElseIsKept() {
	told := map[string]bool{}
	for _, s := range x.Submissions {
		told[s.Job] = told[s.Job] || s.accepted()
	}
	for id := range x.Retries {
		told[id] = true
	}
	unknown := 0
	for _, j := range x.Jobs {
		switch {
		case told[j.ID], j.Batch != "": // of which batchesAreKept judges
		case j.Key != "":
			x.broken(1, "job %s is kept under key %s, and its client was told of another or of none", j.ID, j.Key)
		default:
			unknown++
		}
	}
	if unknown > x.LostRetries {
		x.broken(1, "%d jobs are kept that nobody was told of, with %d retries in doubt", unknown, x.LostRetries)
	}
}

// refusalsSaySo: an API that cannot keep a job says 503 store_unavailable and
// when to come again; it is silent only when it was itself struck.
func (x *index) refusalsSaySo() {
	for _, s := range slices.Concat(x.Submissions, x.BatchSubmissions, x.Uploads) {
		switch {
		case s.accepted():
		case s.Status == 0:
			if !x.struck(s.API, s.Sent, s.Answered) {
				x.broken(1, "key %s: %s gave no answer from %s to %s, and nothing was wrong with it",
					s.Key, s.API, clock(s.Sent), clock(s.Answered))
			}
		case s.Status != 503:
			x.broken(1, "key %s: refused with %d %s", s.Key, s.Status, s.Code)
		case s.Code != "store_unavailable" || s.RetryAfter == "" || s.RetryAfter == "0":
			x.broken(1, "key %s: 503 with code %q and Retry-After %q", s.Key, s.Code, s.RetryAfter)
		}
	}
}

// struck reports whether a fault was on process at any time between.
func (x *index) struck(process string, from, to time.Time) bool {
	for _, f := range x.Faults {
		if f.Process == process && f.From.Before(to) && from.Before(f.To.Add(time.Second)) {
			return true
		}
	}
	return false
}

// allEnded: nothing is stuck.
func (x *index) allEnded() {
	for _, j := range x.Jobs {
		if !terminal(j.Status) {
			x.broken(1, "job %s is stuck in status %s", j.ID, j.Status)
		}
	}
	for table, rows := range x.Left {
		if rows != 0 {
			x.broken(1, "%d rows are left in table %s", rows, table)
		}
	}
}

// byDeadline: by the store's account and by the clients'.
func (x *index) byDeadline() {
	for _, j := range x.Jobs {
		latest := x.latestEnd(j)
		if terminal(j.Status) && j.Finished.After(latest) {
			x.broken(1, "job %s ended %s after its deadline", j.ID, j.Finished.Sub(j.Deadline))
		}
		if (j.Status == succeeded || j.Status == failed) && !j.Finished.Before(j.Deadline) {
			x.broken(1, "job %s %s at %s, past its deadline %s", j.ID, j.Status, clock(j.Finished), clock(j.Deadline))
		}
	}
	for _, s := range x.Sightings {
		if j, ok := x.jobs[s.Job]; ok && !terminal(s.Status) && s.Sent.After(x.latestEnd(j)) {
			x.broken(1, "job %s was %s still %s after its deadline", j.ID, s.Status, s.Sent.Sub(j.Deadline))
		}
	}
}

// latestEnd is by when a job must have ended: its deadline, or a little after
// the return of a store that was away then, or of locks that a process took
// along when it fell silent.
func (x *index) latestEnd(j Job) time.Time {
	latest := j.Deadline.Add(upkeep)
	for _, f := range x.Faults {
		if f.Process != "" && f.From.Before(j.Deadline) && f.From.Add(locked).After(j.Deadline) {
			latest = j.Deadline.Add(upkeep + locked)
		}
	}
	for _, f := range x.Faults {
		// Once more after a fault that follows within the time for healing.
		if f.StoreAway && f.From.Before(latest) && f.To.Add(healing).After(latest) {
			latest = f.To.Add(healing)
		}
	}
	return latest
}

func clock(t time.Time) string { return t.Format("15:04:05.000") }
