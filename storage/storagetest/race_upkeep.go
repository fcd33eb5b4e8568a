package storagetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

func upkeepRaceRules() []rule {
	return []rule{
		{"invariant 1: a claim races the worker's burial", claimRacesReclaim},
		{"copying races deleting", copyRacesDelete},
		{"two deletes race", deleteRacesDelete},
		{"twins at once under a key that has lapsed are one job", lapsedTwinsAreOne},
	}
}

// A claim that succeeds after its worker was declared dead is one that nobody
// would ever take back.
func claimRacesReclaim(f *fixture) {
	for round := range rounds {
		job := f.submit(fmt.Sprint(round)).Job
		w := f.worker()
		claim := f.claimOf(f.release(f.now), w)
		var claimed error
		var got jobs.Reclaimed
		atOnce(
			func() { _, claimed = f.store.Claim(f.t.Context(), claim) },
			func() {
				var err error
				got, err = f.store.Reclaim(f.t.Context(), w, f.at(time.Minute))
				f.check(err, "reclaim")
			},
		)
		if errors.Is(claimed, &jobs.Error{Code: jobs.CodeStoreUnavailable}) {
			f.t.Fatalf("claim: %v", claimed)
		}
		if (claimed == nil) != (got.Requeued == 1) {
			f.t.Fatalf("claim answered %v, reclaim requeued %d; want the one to tell of the other", claimed, got.Requeued)
		}
		if claimed != nil {
			_, err := f.store.Requeue(f.t.Context(), f.unclaimed(f.at(time.Hour), 10))
			f.check(err, "requeue")
		}
		f.drain()
		f.ended(job.ID, jobs.StatusSucceeded)
	}
}

// A copy has its answer, or there is none.
func copyRacesDelete(f *fixture) {
	for round := range rounds {
		name := fmt.Sprint(round)
		first := f.answered(name, time.Minute)
		s := f.submission(name, withMaxAge(time.Hour), withCreated(f.at(2*time.Minute)))
		var got jobs.Submitted
		atOnce(
			func() {
				var err error
				got, err = f.store.Submit(f.t.Context(), s)
				f.check(err, "submit")
			},
			func() { f.check(f.store.Delete(f.t.Context(), tenant, first.ID), "delete") },
		)
		if !got.Job.Cached {
			f.drain()
		}
		equal(f, string(f.ended(s.Job.ID, jobs.StatusSucceeded).Result), answer, "result")
		_, err := f.store.Request(f.t.Context(), tenant, s.Job.ID)
		f.must(err, "read the request")
	}
}

// The last of two jobs takes the answer along, whichever it is.
func deleteRacesDelete(f *fixture) {
	for round := range rounds {
		name := fmt.Sprint(round)
		first, work, _ := f.running(name)
		second := f.submit(name).Job
		f.finish(f.success(work, f.at(time.Minute)))
		atOnce(
			func() { f.check(f.store.Delete(f.t.Context(), tenant, first.ID), "delete") },
			func() { f.check(f.store.Delete(f.t.Context(), tenant, second.ID), "delete") },
		)
		s := f.submit(name, withMaxAge(time.Hour), withCreated(f.at(2*time.Minute)))
		equal(f, s.Job.Cached, false, "copied from what was deleted")
		f.drain()
	}
}

func lapsedTwinsAreOne(f *fixture) {
	later := withCreated(f.at(jobs.IdempotencyWindow + time.Minute))
	long := withDeadline(f.at(2 * jobs.IdempotencyWindow))
	for round := range rounds {
		key := fmt.Sprint(round)
		first := f.submit(key, withKey(key, "one"))
		var functions []func()
		results := make([]jobs.Submitted, 4)
		for i := range results {
			s := f.submission(key, withoutDedupe, later, long, withKey(key, "two"))
			functions = append(functions, func() {
				var err error
				results[i], err = f.store.Submit(f.t.Context(), s)
				f.check(err, "submit a twin")
			})
		}
		atOnce(functions...)
		for _, r := range results {
			equal(f, r.Job.ID, results[0].Job.ID, "job of a twin")
		}
		equal(f, results[0].Job.ID == first.Job.ID, false, "the twins are the job of the record that lapsed")
	}
}
