package storagetest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

func controlRules() []rule {
	return []rule{
		{"unclaimed lists releases nobody took", unclaimedLists},
		{"requeue takes back what is unclaimed still", requeueTakesBack},
		{"invariant 3: each job expires by its own deadline", expiresByOwnDeadline},
		{"the last job's expiry abandons the run", lastExpiryAbandons},
		{"expiry is bounded, the earliest first", expiryIsBounded},
		{"expired goes with its execution, queued or waiting", expiredGoes},
		{"a look that finds nothing due tells the next deadline", nextDeadline},
		{"nothing to settle", nothingToSettle},
	}
}

func (f *fixture) unclaimed(before time.Time, limit int) []jobs.Task {
	f.t.Helper()
	tasks, err := f.store.Unclaimed(f.t.Context(), before, limit)
	f.must(err, "list unclaimed releases")
	return tasks
}

func unclaimedLists(f *fixture) {
	f.submit("a")
	first := f.release(f.now)
	f.submit("b")
	second := f.release(f.at(time.Second))
	f.submit("c")
	third := f.release(f.at(2 * time.Second))
	f.claim(second, f.worker())
	if got := f.unclaimed(f.at(2*time.Second), 10); !slices.Equal(got, []jobs.Task{first}) {
		f.t.Fatalf("unclaimed: got %+v, want %+v", got, first)
	}
	if got := f.unclaimed(f.at(time.Hour), 10); !slices.Equal(got, []jobs.Task{first, third}) {
		f.t.Fatalf("unclaimed: got %+v, want %+v, %+v", got, first, third)
	}
	if got := f.unclaimed(f.at(time.Hour), 1); !slices.Equal(got, []jobs.Task{first}) {
		f.t.Fatalf("unclaimed, at most one: got %+v, want %+v", got, first)
	}
}

func requeueTakesBack(f *fixture) {
	w := f.worker()
	var tasks []jobs.Task
	for _, name := range []string{"lost", "claimed", "past"} {
		f.submit(name)
		tasks = append(tasks, f.release(f.now))
	}
	f.claim(tasks[1], w)
	tasks[2].Fence--
	n, err := f.store.Requeue(f.t.Context(), tasks)
	f.must(err, "requeue")
	equal(f, n, 1, "requeued")
	_, err = f.store.Claim(f.t.Context(), f.claimOf(tasks[0], w))
	f.mustBe(err, jobs.ErrStale, "claim what was taken back")
	again := f.release(f.now)
	equal(f, again.Execution, tasks[0].Execution, "released again")
	equal(f, again.Fence, tasks[0].Fence+1, "fence")
	n, err = f.store.Requeue(f.t.Context(), nil)
	f.must(err, "requeue nothing")
	equal(f, n, 0, "requeued of nothing")
}

func expiresByOwnDeadline(f *fixture) {
	short := f.submit("a", withDeadline(f.at(time.Minute))).Job
	long := f.submit("a", withDeadline(f.at(time.Hour))).Job
	equal(f, len(f.expire(f.at(time.Minute-time.Millisecond)).Ended), 0, "ended before its deadline")
	got := f.expire(f.at(time.Minute))
	f.sameIDs(got.Ended, short.ID)
	equal(f, len(got.Stopped), 0, "stopped while a job lives")
	j := f.ended(short.ID, jobs.StatusExpired)
	equal(f, j.FinishedAt, f.at(time.Minute), "finished at")
	if j.Error == nil || j.Error.Code != jobs.CodeExpired || j.Error.Message == "" {
		f.t.Fatalf("expired: got error %+v, want code expired", j.Error)
	}
	f.live(long.ID)
	ready := f.ready(jobs.PriorityNormal, f.at(time.Minute))
	equal(f, len(ready), 1, "ready executions")
	equal(f, ready[0].Deadline, f.at(time.Hour), "deadline of what lives on")
}

func lastExpiryAbandons(f *fixture) {
	first, work, w := f.running("a")
	second := f.submit("a").Job
	got := f.expire(f.at(time.Hour))
	f.sameIDs(got.Ended, first.ID, second.ID)
	if !slices.Equal(got.Stopped, []jobs.Task{work.Task}) {
		f.t.Fatalf("stopped: got %+v, want %+v", got.Stopped, work.Task)
	}
	f.ended(first.ID, jobs.StatusExpired)
	f.ended(second.ID, jobs.StatusExpired)
	if obsolete := f.beat(w, work.Task); !slices.Equal(obsolete, []jobs.Task{work.Task}) {
		f.t.Fatalf("obsolete: got %+v, want %+v", obsolete, work.Task)
	}
	again := f.expire(f.at(2 * time.Hour))
	equal(f, len(again.Ended)+len(again.Stopped), 0, "ended or stopped again")
}

func expiryIsBounded(f *fixture) {
	late := f.submit("late", withDeadline(f.at(3*time.Minute))).Job
	early := f.submit("early", withDeadline(f.at(time.Minute))).Job
	middle := f.submit("middle", withDeadline(f.at(2*time.Minute))).Job
	for _, want := range []jobs.Job{early, middle, late} {
		got, err := f.store.Expire(f.t.Context(), f.at(time.Hour), 1)
		f.must(err, "expire")
		f.sameIDs(got.Ended, want.ID)
	}
}

func nextDeadline(f *fixture) {
	f.submit("soon", withDeadline(f.at(time.Minute)))
	f.submit("later", withDeadline(f.at(time.Hour)))
	equal(f, f.nextDeadline(f.at(0)), f.at(time.Minute), "the next of two")
	equal(f, len(f.expire(f.at(time.Minute)).Ended), 1, "ended at its deadline")
	equal(f, f.nextDeadline(f.at(time.Minute)), f.at(time.Hour), "the next of one")
	equal(f, len(f.expire(f.at(time.Hour)).Ended), 1, "ended at its deadline")
	equal(f, f.nextDeadline(f.at(time.Hour)), time.Time{}, "the next of none")
}

func (f *fixture) nextDeadline(now time.Time) time.Time {
	got, err := f.store.Expire(f.t.Context(), now, 100)
	f.must(err, "expire")
	equal(f, len(got.Ended), 0, "ended though nothing is due")
	return got.Next
}

func expiredGoes(f *fixture) {
	waiting, work, _ := f.running("waiting")
	f.reschedule(f.retry(work, f.at(30*time.Minute)))
	queued := f.submit("queued").Job
	got := f.expire(f.at(time.Hour))
	f.sameIDs(got.Ended, waiting.ID, queued.ID)
	equal(f, len(f.releaseAll(f.at(2*time.Hour))), 0, "releases of what expired")
	equal(f, f.submit("queued", withCreated(f.at(time.Hour)), withDeadline(f.at(2*time.Hour))).Ready, true, "a new one is ready")
	equal(f, f.ended(waiting.ID, jobs.StatusExpired).Tries, 1, "tries of a job that expired waiting")
}

func nothingToSettle(f *fixture) {
	_, _, _ = f.running("a")
	settled, err := f.store.Settle(f.t.Context())
	f.must(err, "settle")
	equal(f, len(settled), 0, "settled")
}

// RunInterrupted checks that a finish whose process dies is settled. open
// returns an empty store that ends at most chunk jobs in one transaction, and
// whose Finish and Reclaim answer with an error after their first chunk, as if
// the process had died there. Settle is not interrupted.
func RunInterrupted(t *testing.T, open func(t *testing.T, chunk int) jobs.Store) {
	t.Helper()
	runRules(t, []rule{
		{"invariant 3: an interrupted finish is settled", settlesFinish},
		{"an interrupted reclaim is settled", settlesReclaim},
		{"an execution that is settled is not attached to", settlingIsNotAttachedTo},
		{"a deadline that passes meanwhile changes nothing", settlingDoesNotExpire},
		{"cancelling meanwhile ends each job once", settlingIsCancelled},
		{"a repeated finish goes on", repeatedFinishGoesOn},
		{"what is settled is as degraded as the rest", settlesDegraded},
		{"what is settled is as incomplete as the rest", settlesIncomplete},
	}, func(t *testing.T) jobs.Store {
		t.Helper()
		return open(t, 2)
	})
}

// interrupted runs an execution of five jobs, in the order of their ids, and
// finishes two of them.
func (f *fixture) interrupted(edits ...edit) ([]uuid.UUID, jobs.Outcome) {
	f.t.Helper()
	first, work, _ := f.running("a", edits...)
	ids := []uuid.UUID{first.ID}
	for range 4 {
		ids = append(ids, f.submit("a", edits...).Job.ID)
	}
	o := f.success(work, f.at(time.Minute))
	if _, err := f.store.Finish(f.t.Context(), o); err == nil {
		f.t.Fatal("interrupted finish: got no error")
	}
	f.ended(ids[0], jobs.StatusSucceeded)
	f.ended(ids[1], jobs.StatusSucceeded)
	for _, id := range ids[2:] {
		f.live(id)
	}
	return ids, o
}

func (f *fixture) settle() []uuid.UUID {
	f.t.Helper()
	ended, err := f.store.Settle(f.t.Context())
	f.must(err, "settle")
	return ended
}

func settlesFinish(f *fixture) {
	ids, _ := f.interrupted()
	f.sameIDs(f.settle(), ids[2:]...)
	for i, id := range ids {
		j := f.ended(id, jobs.StatusSucceeded)
		equal(f, string(j.Result), answer, "result")
		equal(f, j.FinishedAt, f.at(time.Minute), "finished at")
		f.costs(id, []jobs.USD{2_500_000, 0, 0, 0, 0}[i])
	}
	equal(f, len(f.settle()), 0, "settled again")
	f.drain()
}

func settlesReclaim(f *fixture) {
	var ids []uuid.UUID
	for range 5 {
		ids = append(ids, f.submit("a").Job.ID)
	}
	for range jobs.MaxCrashes - 1 {
		f.crash()
	}
	w := f.worker()
	f.claim(f.release(f.now), w)
	if _, err := f.store.Reclaim(f.t.Context(), w, f.at(time.Minute)); err == nil {
		f.t.Fatal("interrupted reclaim: got no error")
	}
	f.ended(ids[0], jobs.StatusFailed)
	f.sameIDs(f.settle(), ids[2:]...)
	for _, id := range ids {
		j := f.ended(id, jobs.StatusFailed)
		equal(f, j.Error.Code, jobs.CodePoisoned, "error code")
	}
	f.drain()
}

func settlingIsNotAttachedTo(f *fixture) {
	ids, _ := f.interrupted()
	s := f.submit("a")
	if s.Job.Deduplicated || !s.Ready {
		f.t.Fatalf("submitted meanwhile: got %+v, want a new execution", s)
	}
	copied := f.submit("a", withMaxAge(time.Hour), withCreated(f.at(2*time.Minute)), withoutDedupe)
	equal(f, copied.Job.Cached, true, "copied meanwhile")
	f.sameIDs(f.settle(), ids[2:]...)
	f.drain()
	f.ended(s.Job.ID, jobs.StatusSucceeded)
}

func settlingDoesNotExpire(f *fixture) {
	ids, _ := f.interrupted()
	equal(f, len(f.expire(f.at(2*time.Hour)).Ended), 0, "expired meanwhile")
	f.sameIDs(f.settle(), ids[2:]...)
	f.ended(ids[4], jobs.StatusSucceeded)
}

func settlingIsCancelled(f *fixture) {
	ids, _ := f.interrupted()
	for _, id := range ids[2:] {
		j, stopped := f.cancel(id)
		equal(f, j.Status.Terminal(), true, "the cancelled job is terminal")
		equal(f, len(stopped), 0, "stopped: the execution had ended")
	}
	f.settle()
	for _, id := range ids {
		f.toldOf(f.job(id))
	}
	f.drain()
}

func repeatedFinishGoesOn(f *fixture) {
	ids, o := f.interrupted()
	for range 3 {
		if _, err := f.store.Finish(f.t.Context(), o); err == nil {
			break
		}
	}
	f.sameIDs(f.finish(o), ids...)
	for _, id := range ids {
		f.ended(id, jobs.StatusSucceeded)
	}
	f.drain()
}

func settlesIncomplete(f *fixture) {
	f.incomplete = true
	ids, _ := f.interrupted(asResponse)
	f.sameIDs(f.settle(), ids[2:]...)
	for _, id := range ids {
		f.ended(id, jobs.StatusSucceeded)
	}
}
