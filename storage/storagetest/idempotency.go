package storagetest

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

func idempotencyRules() []rule {
	return []rule{
		{"the same submission is replayed", replays},
		{"a replay tells the job as it is now", replaysAsItIsNow},
		{"another submission is refused", refusesMismatch},
		{"a key is the tenant's own", keyIsTheTenants},
		{"a key is forgotten after its window", keyIsForgotten},
		{"a key goes with its job", keyGoesWithItsJob},
		{"twins at once are one job", twinsAreOne},
		{"a refused submission takes no key", refusedTakesNoKey},
		{"a key covers a copied answer", keyCoversCopy},
		{"maintain keeps what counts", maintainKeeps},
		{"a key can be looked up", keyIsFound},
		{"a look-up finds what a submission would", lookUpAgrees},
		{"a key stands for what was submitted of late", keyIsOfLate},
		{"a renewed key is the latest submission's", keyIsRenewed},
		{"a key is not renewed backwards", keyIsNotRenewedBackwards},
	}
}

func withKey(key, body string) edit {
	return func(s *jobs.Submission) {
		s.Idempotency = &jobs.Idempotency{Key: key, Fingerprint: sha256.Sum256([]byte(body))}
	}
}

// ofLate makes records that are older than a minute count as absent; withKey comes first.
func ofLate(s *jobs.Submission) { s.Idempotency.Within = time.Minute }

// renewing takes the key in any case; withKey comes first.
func renewing(s *jobs.Submission) { s.Idempotency.Renew = true }

func keyIsOfLate(f *fixture) {
	first := f.submit("a", withKey("k", "one"))
	edge := f.submit("a", withKey("k", "one"), ofLate, withCreated(f.at(time.Minute)))
	equal(f, edge.Job.ID, first.Job.ID, "job at the edge")
	key := *f.submission("a", withKey("k", "one"), ofLate).Idempotency
	_, err := f.store.Replay(f.t.Context(), tenant, key, f.at(time.Minute+time.Second))
	f.mustBe(err, jobs.ErrNotFound, "look up what is older")
	late := f.submit("a", withKey("k", "one"), ofLate, withCreated(f.at(time.Minute+time.Second)), withoutDedupe)
	equal(f, late.Replayed, false, "replayed beyond the edge")
	again := f.submit("a", withKey("k", "one"), ofLate, withCreated(f.at(2*time.Minute)))
	equal(f, again.Job.ID, late.Job.ID, "job of the new record")
}

func keyIsRenewed(f *fixture) {
	f.submit("a", withKey("k", "one"), withoutDedupe)
	second := f.submit("a", withKey("k", "one"), renewing, withoutDedupe)
	equal(f, second.Replayed, false, "the renewing one is replayed")
	again := f.submit("a", withKey("k", "one"))
	equal(f, again.Replayed, true, "replayed")
	equal(f, again.Job.ID, second.Job.ID, "job of the record")
	other := f.submit("b", withKey("k", "two"), renewing)
	equal(f, other.Replayed, false, "another submission that renews")
	equal(f, f.submit("b", withKey("k", "two")).Job.ID, other.Job.ID, "job of the other submission")
	key := *f.submission("b", withKey("k", "two"), renewing).Idempotency
	_, err := f.store.Replay(f.t.Context(), tenant, key, f.now)
	f.mustBe(err, jobs.ErrNotFound, "look up in order to renew")
}

// Two processes may write in another order than they read the clock.
func keyIsNotRenewedBackwards(f *fixture) {
	latest := f.submit("a", withKey("k", "one"), renewing, withoutDedupe, withCreated(f.at(time.Second)))
	before := f.submit("a", withKey("k", "one"), renewing, withoutDedupe)
	equal(f, before.Replayed, false, "the one before is replayed")
	f.live(before.Job.ID)
	again := f.submit("a", withKey("k", "one"), withCreated(f.at(2*time.Second)))
	equal(f, again.Job.ID, latest.Job.ID, "job of the record")
}

func replays(f *fixture) {
	first := f.submit("a", withKey("k", "one"))
	equal(f, first.Replayed, false, "the first is replayed")
	again := f.submit("a", withKey("k", "one"))
	if !again.Replayed || again.Ready || again.Job.ID != first.Job.ID || again.Job.Deduplicated {
		f.t.Fatalf("again: got %+v, want job %s, replayed", again, first.Job.ID)
	}
	list, err := f.store.Jobs(f.t.Context(), jobs.JobQuery{Tenant: tenant, Limit: 10})
	f.must(err, "list jobs")
	equal(f, len(list), 1, "jobs")
}

func replaysAsItIsNow(f *fixture) {
	first := f.answered("a", time.Minute, withKey("k", "one"))
	again := f.submit("a", withKey("k", "one"), withCreated(f.at(2*time.Minute)))
	equal(f, again.Replayed, true, "replayed")
	equal(f, again.Job.ID, first.ID, "job")
	equal(f, again.Job.Status, jobs.StatusSucceeded, "status")
	equal(f, string(again.Job.Result), answer, "result")
}

func refusesMismatch(f *fixture) {
	f.submit("a", withKey("k", "one"))
	s := f.submission("b", withKey("k", "two"))
	_, err := f.store.Submit(f.t.Context(), s)
	f.mustBe(err, jobs.ErrIdempotencyMismatch, "submit another body under the same key")
	_, err = f.store.Job(f.t.Context(), tenant, s.Job.ID)
	f.mustBe(err, jobs.ErrNotFound, "read the refused job")
	equal(f, len(f.ready(jobs.PriorityNormal, f.now)), 1, "ready executions")
}

func keyIsTheTenants(f *fixture) {
	f.submit("a", withKey("k", "one"))
	other := f.submit("a", withKey("k", "two"), withTenant("other"))
	equal(f, other.Replayed, false, "replayed to another tenant")
	again := f.submit("a", withKey("k", "two"), withTenant("other"))
	equal(f, again.Job.ID, other.Job.ID, "job replayed to the other tenant")
	equal(f, f.submit("a", withKey("k", "one")).Replayed, true, "replayed to the first tenant")
}

func keyIsForgotten(f *fixture) {
	f.submit("a", withKey("k", "one"))
	within := f.submit("b", withKey("k", "one"), withCreated(f.at(jobs.IdempotencyWindow-time.Second)))
	equal(f, within.Replayed, true, "replayed within the window")
	after := f.submit("b", withKey("k", "two"), withCreated(f.at(jobs.IdempotencyWindow+time.Second)))
	equal(f, after.Replayed, false, "replayed after the window")
	again := f.submit("b", withKey("k", "two"), withCreated(f.at(jobs.IdempotencyWindow+2*time.Second)))
	equal(f, again.Job.ID, after.Job.ID, "job of the new record")
}

func keyGoesWithItsJob(f *fixture) {
	first := f.answered("a", time.Minute, withKey("k", "one"))
	f.must(f.store.Delete(f.t.Context(), tenant, first.ID), "delete")
	s := f.submit("a", withKey("k", "two"), withCreated(f.at(2*time.Minute)))
	equal(f, s.Replayed, false, "replayed though the job is gone")
	f.live(s.Job.ID)
}

func twinsAreOne(f *fixture) {
	for round := range rounds {
		var submissions []jobs.Submission
		for range 4 {
			submissions = append(submissions, f.submission(fmt.Sprint(round), withoutDedupe, withKey(fmt.Sprint(round), "one")))
		}
		results := make([]jobs.Submitted, len(submissions))
		var functions []func()
		for i, s := range submissions {
			functions = append(functions, func() {
				var err error
				results[i], err = f.store.Submit(f.t.Context(), s)
				f.check(err, "submit a twin")
			})
		}
		atOnce(functions...)
		replayed := 0
		for _, r := range results {
			equal(f, r.Job.ID, results[0].Job.ID, "job of a twin")
			if r.Replayed {
				replayed++
			}
		}
		equal(f, replayed, len(results)-1, "replayed twins")
	}
	equal(f, len(f.ready(jobs.PriorityNormal, f.now)), rounds, "executions")
}

func refusedTakesNoKey(f *fixture) {
	first := f.submit("a").Job
	s := f.submission("b", withKey("k", "one"))
	s.Job.ID = first.ID
	if _, err := f.store.Submit(f.t.Context(), s); err == nil {
		f.t.Fatal("a job id that exists: got no error")
	}
	equal(f, f.submit("c", withKey("k", "two")).Replayed, false, "replayed from a refused submission")
}

func keyCoversCopy(f *fixture) {
	f.answered("a", time.Minute)
	edits := []edit{withMaxAge(time.Hour), withCreated(f.at(2 * time.Minute)), withKey("k", "one")}
	copied := f.submit("a", edits...)
	again := f.submit("a", edits...)
	equal(f, copied.Job.Cached, true, "cached")
	equal(f, again.Replayed, true, "replayed")
	equal(f, again.Job.ID, copied.Job.ID, "job")
}

func maintainKeeps(f *fixture) {
	first := f.submit("a", withKey("k", "one"))
	f.must(f.store.Maintain(f.t.Context(), f.at(jobs.IdempotencyWindow-time.Second)), "maintain")
	equal(f, f.submit("a", withKey("k", "one")).Replayed, true, "replayed within the window")
	f.must(f.store.Maintain(f.t.Context(), f.at(jobs.IdempotencyWindow+time.Second)), "maintain")
	equal(f, f.submit("a", withKey("k", "two")).Replayed, false, "replayed after maintenance dropped the record")
	f.live(first.Job.ID)
}

func keyIsFound(f *fixture) {
	first := f.answered("a", time.Minute, withKey("k", "one"))
	key := *f.submission("a", withKey("k", "one")).Idempotency
	got, err := f.store.Replay(f.t.Context(), tenant, key, f.at(jobs.IdempotencyWindow))
	f.must(err, "look the key up")
	equal(f, got.ID, first.ID, "job")
	equal(f, got.Status, jobs.StatusSucceeded, "status")
	equal(f, string(got.Result), answer, "result")
}

func lookUpAgrees(f *fixture) {
	first := f.answered("a", time.Minute, withKey("k", "one"))
	look := func(tenant, key, body string, at time.Time) error {
		i := *f.submission("a", withKey(key, body)).Idempotency
		_, err := f.store.Replay(f.t.Context(), tenant, i, at)
		return err
	}
	f.mustBe(look(tenant, "k", "two", f.now), jobs.ErrIdempotencyMismatch, "look up another submission")
	f.mustBe(look(tenant, "l", "one", f.now), jobs.ErrNotFound, "look up another key")
	f.mustBe(look("other", "k", "one", f.now), jobs.ErrNotFound, "look up another tenant's key")
	late := f.at(jobs.IdempotencyWindow + time.Second)
	f.mustBe(look(tenant, "k", "one", late), jobs.ErrNotFound, "look up after the window")
	f.must(f.store.Delete(f.t.Context(), tenant, first.ID), "delete")
	f.mustBe(look(tenant, "k", "two", f.now), jobs.ErrNotFound, "look up the key of a deleted job")
}
