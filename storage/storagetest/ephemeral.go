package storagetest

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

func ephemeralRules() []rule {
	return []rule{
		{"an undelivered answer is held for a while", ephemeralIsHeld},
		{"a delivered answer is held for a minute", ephemeralDelivered},
		{"a delivery of another tenant, or before the end, is none", ephemeralNotDelivered},
		{"what was dropped is gone for good", ephemeralIsGone},
		{"a failure's words are dropped as well", ephemeralFailure},
		{"other jobs of the execution keep their answer", ephemeralSharesAnswer},
		{"an ephemeral copy of a kept answer", ephemeralCopy},
		{"cancelled and expired jobs are dropped", ephemeralWithoutAnswer},
		{"a live job is never dropped", ephemeralLive},
		{"a job that was deleted is not dropped", ephemeralDeleted},
		{"limit bounds a drop", ephemeralLimit},
		{"what a stale worker tells of what was dropped is not kept", ephemeralStaleWorker},
		{"what is not ephemeral stays", lastingStays},
	}
}

func ephemeral(s *jobs.Submission) { s.Job.Ephemeral, s.NoStore = true, true }

// fleeting answers one ephemeral job at one minute.
func (f *fixture) fleeting() jobs.Job {
	f.t.Helper()
	j := f.answered("a", time.Minute, ephemeral)
	equal(f, j.Ephemeral, true, "ephemeral")
	equal(f, string(j.Result), answer, "result")
	return j
}

func (f *fixture) drop(at time.Time) int {
	f.t.Helper()
	n, err := f.store.Drop(f.t.Context(), at, 100)
	f.must(err, "drop")
	return n
}

func (f *fixture) deliver(tenant string, id uuid.UUID, at time.Time) {
	f.t.Helper()
	f.must(f.store.Delivered(f.t.Context(), tenant, id, at), "note a delivery")
}

// dropped asserts that the job has neither request nor answer any more.
func (f *fixture) dropped(id uuid.UUID, status jobs.Status, code string) {
	f.t.Helper()
	j := f.ended(id, status)
	if j.Result != nil || j.DroppedAt.IsZero() || j.Error == nil || j.Error.Code != code {
		f.t.Fatalf("dropped job: got result %q, dropped at %v, error %+v, want none, a time, %s",
			j.Result, j.DroppedAt, j.Error, code)
	}
	_, err := f.store.Request(f.t.Context(), tenant, id)
	if e, ok := errors.AsType[*jobs.Error](err); !ok || e.Code != jobs.CodeDropped {
		f.t.Fatalf("request of a dropped job: got error %v, want %s", err, jobs.CodeDropped)
	}
	for _, c := range f.calls(id) {
		equal(f, c.Partial, "", "partial answer")
	}
}

// kept asserts that the job has its request and its answer.
func (f *fixture) kept(id uuid.UUID) {
	f.t.Helper()
	equal(f, string(f.ended(id, jobs.StatusSucceeded).Result), answer, "result")
	r, err := f.store.Request(f.t.Context(), tenant, id)
	f.must(err, "read a request")
	equal(f, string(r.Body), string(f.submission("a").Request.Body), "request")
}

func ephemeralIsHeld(f *fixture) {
	j := f.fleeting()
	equal(f, f.drop(f.at(time.Minute+jobs.EphemeralHold-time.Second)), 0, "dropped early")
	f.kept(j.ID)
	equal(f, f.drop(f.at(time.Minute+jobs.EphemeralHold)), 1, "dropped")
	f.dropped(j.ID, jobs.StatusSucceeded, jobs.CodeDropped)
	equal(f, f.drop(f.at(24*time.Hour)), 0, "dropped again")
}

func ephemeralDelivered(f *fixture) {
	j := f.fleeting()
	f.deliver(tenant, j.ID, f.at(2*time.Minute))
	f.deliver(tenant, j.ID, f.at(30*time.Minute)) // a second time delays nothing
	equal(f, f.drop(f.at(2*time.Minute+jobs.DeliveredHold-time.Second)), 0, "dropped early")
	f.kept(j.ID)
	equal(f, f.drop(f.at(2*time.Minute+jobs.DeliveredHold)), 1, "dropped")
	f.dropped(j.ID, jobs.StatusSucceeded, jobs.CodeDropped)
}

func ephemeralNotDelivered(f *fixture) {
	j := f.submit("a", ephemeral).Job
	f.deliver(tenant, j.ID, f.now)
	w := f.claim(f.release(f.now), f.worker())
	f.finish(f.success(w, f.at(time.Minute)))
	f.deliver("other", j.ID, f.at(time.Minute))
	f.deliver(tenant, newID(f.t), f.at(time.Minute))
	equal(f, f.drop(f.at(30*time.Minute)), 0, "dropped")
	f.kept(j.ID)
}

func ephemeralIsGone(f *fixture) {
	j := f.fleeting()
	f.drop(f.at(2 * time.Hour))
	later := f.submit("a", withMaxAge(24*time.Hour), withCreated(f.at(2*time.Hour)), withDeadline(f.at(3*time.Hour)))
	equal(f, later.Job.Cached, false, "copied")
	got := f.ended(j.ID, jobs.StatusSucceeded)
	equal(f, got.Usage, f.success(jobs.Work{}, f.now).Call.Usage, "usage")
	equal(f, len(f.calls(j.ID)), 1, "calls")
	list, err := f.store.Jobs(f.t.Context(), jobs.JobQuery{Tenant: tenant, Status: jobs.StatusSucceeded, Limit: 10})
	f.must(err, "list jobs")
	if len(list) != 1 || list[0].Error == nil || list[0].Error.Code != jobs.CodeDropped {
		f.t.Fatalf("listed: got %+v, want one that says it was dropped", list)
	}
}

func ephemeralFailure(f *fixture) {
	j, w, _ := f.running("a", ephemeral)
	f.finish(f.failure(w, f.at(time.Minute)))
	f.drop(f.at(2 * time.Hour))
	f.dropped(j.ID, jobs.StatusFailed, f.failure(w, f.now).Error.Code)
	if m := f.job(j.ID).Error.Message; m == f.failure(w, f.now).Error.Message {
		f.t.Fatalf("message of a dropped failure: got %q, want another", m)
	}
}

func ephemeralSharesAnswer(f *fixture) {
	first, w, _ := f.running("a", ephemeral)
	second := f.submit("a").Job
	third := f.submit("a", ephemeral).Job
	f.finish(f.success(w, f.at(time.Minute)))
	equal(f, f.drop(f.at(2*time.Hour)), 2, "dropped")
	f.dropped(first.ID, jobs.StatusSucceeded, jobs.CodeDropped)
	f.dropped(third.ID, jobs.StatusSucceeded, jobs.CodeDropped)
	f.kept(second.ID)
	f.must(f.store.Delete(f.t.Context(), tenant, second.ID), "delete the job that had kept the answer")
	f.dropped(first.ID, jobs.StatusSucceeded, jobs.CodeDropped)
}

func ephemeralCopy(f *fixture) {
	first := f.answered("a", time.Minute)
	copied := f.submit("a", ephemeral, withMaxAge(time.Hour), withCreated(f.at(2*time.Minute))).Job
	equal(f, copied.Cached, true, "cached")
	equal(f, f.drop(f.at(2*time.Minute+jobs.EphemeralHold)), 1, "dropped")
	f.dropped(copied.ID, jobs.StatusSucceeded, jobs.CodeDropped)
	f.kept(first.ID)
	f.must(f.store.Delete(f.t.Context(), tenant, first.ID), "delete the first")
	later := f.submit("a", withMaxAge(24*time.Hour), withCreated(f.at(2*time.Hour)), withDeadline(f.at(3*time.Hour)))
	equal(f, later.Job.Cached, false, "copied from what was dropped")
}

func ephemeralWithoutAnswer(f *fixture) {
	cancelled := f.submit("a", ephemeral).Job
	f.cancel(cancelled.ID)
	expired := f.submit("b", ephemeral).Job
	f.expire(expired.Deadline)
	equal(f, f.drop(f.at(3*time.Hour)), 2, "dropped")
	f.dropped(cancelled.ID, jobs.StatusCancelled, jobs.CodeCancelled)
	f.dropped(expired.ID, jobs.StatusExpired, jobs.CodeExpired)
}

func ephemeralLive(f *fixture) {
	j := f.submit("a", ephemeral).Job
	equal(f, f.drop(f.at(1000*time.Hour)), 0, "dropped")
	f.live(j.ID)
	equal(f, string(f.claim(f.release(f.now), f.worker()).Body), string(f.submission("a").Request.Body), "request")
}

func ephemeralDeleted(f *fixture) {
	j := f.fleeting()
	f.must(f.store.Delete(f.t.Context(), tenant, j.ID), "delete")
	equal(f, f.drop(f.at(24*time.Hour)), 0, "dropped")
}

func ephemeralLimit(f *fixture) {
	for _, name := range []string{"a", "b", "c"} {
		f.answered(name, time.Minute, ephemeral)
	}
	for _, want := range []int{2, 1, 0} {
		n, err := f.store.Drop(f.t.Context(), f.at(24*time.Hour), 2)
		f.must(err, "drop")
		equal(f, n, want, "dropped")
	}
}

// A worker that was cut off may know nothing of the end for long.
func ephemeralStaleWorker(f *fixture) {
	j, w, _ := f.running("a", ephemeral)
	f.cancel(j.ID)
	equal(f, f.drop(f.at(2*time.Hour)), 1, "dropped")
	o := f.failure(w, f.at(2*time.Hour))
	_, err := f.store.Finish(f.t.Context(), o)
	f.mustBe(err, jobs.ErrStale, "finish what was cancelled")
	f.dropped(j.ID, jobs.StatusCancelled, jobs.CodeCancelled)
	again := f.retry(w, f.at(2*time.Hour))
	again.Call.ID = newID(f.t)
	f.mustBe(f.store.Reschedule(f.t.Context(), again), jobs.ErrStale, "give back what was cancelled")
	f.dropped(j.ID, jobs.StatusCancelled, jobs.CodeCancelled)
	equal(f, len(f.calls(j.ID)), 2, "calls")
}

func lastingStays(f *fixture) {
	j := f.answered("a", time.Minute)
	f.deliver(tenant, j.ID, f.at(time.Minute))
	equal(f, f.drop(f.at(1000*time.Hour)), 0, "dropped")
	f.kept(j.ID)
}
