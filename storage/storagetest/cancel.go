package storagetest

import (
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

func cancelRules() []rule {
	return []rule{
		{"a queued job is cancelled", cancelsQueued},
		{"the last job's cancelling abandons the run", lastCancelAbandons},
		{"invariant 3: another's job goes on", othersGoOn},
		{"invariant 2: a terminal status never changes", terminalNeverChanges},
	}
}

func deleteRules() []rule {
	return []rule{
		{"a live job is not deleted", liveIsNotDeleted},
		{"a deleted job is gone", deletedIsGone},
		{"the stored answer goes with its last job", answerGoesWithLastJob},
		{"a job beside a run is deleted alone", deletedBesideRun},
		{"invariant 2: finishing what was deleted is stale", deletedIsStale},
	}
}

func cancelsQueued(f *fixture) {
	job := f.submit("a").Job
	got, stopped := f.cancel(job.ID)
	j := f.ended(job.ID, jobs.StatusCancelled)
	if !reflect.DeepEqual(got, j) {
		f.t.Fatalf("cancel:\n got %+v\nwant the job as it then is, %+v", got, j)
	}
	equal(f, j.FinishedAt, f.at(time.Minute), "finished at")
	if j.Error == nil || j.Error.Code != jobs.CodeCancelled || j.Error.Message == "" {
		f.t.Fatalf("cancelled: got error %+v, want code cancelled", j.Error)
	}
	equal(f, len(stopped), 1, "stopped executions")
	equal(f, stopped[0].Execution, job.ExecutionID, "stopped execution")
	equal(f, len(f.releaseAll(f.now)), 0, "releases of what was cancelled")
}

func lastCancelAbandons(f *fixture) {
	first, work, w := f.running("a")
	second := f.submit("a").Job
	_, stopped := f.cancel(first.ID)
	equal(f, len(stopped), 0, "stopped while a job lives")
	_, stopped = f.cancel(second.ID)
	if !slices.Equal(stopped, []jobs.Task{work.Task}) {
		f.t.Fatalf("stopped: got %+v, want %+v", stopped, work.Task)
	}
	if obsolete := f.beat(w, work.Task); !slices.Equal(obsolete, []jobs.Task{work.Task}) {
		f.t.Fatalf("obsolete: got %+v, want %+v", obsolete, work.Task)
	}
	equal(f, f.submit("a").Job.Deduplicated, false, "attached to an abandoned execution")
}

func othersGoOn(f *fixture) {
	first, work, _ := f.running("a")
	second := f.submit("a").Job
	f.cancel(first.ID)
	equal(f, f.live(second.ID).Status, jobs.StatusRunning, "status of the other")
	f.sameIDs(f.finish(f.success(work, f.at(2*time.Minute))), second.ID)
	f.ended(first.ID, jobs.StatusCancelled)
	f.ended(second.ID, jobs.StatusSucceeded)
}

// ways lead a new job of its own name to each terminal status.
func (f *fixture) ways() map[jobs.Status]func(name string) uuid.UUID {
	return map[jobs.Status]func(name string) uuid.UUID{
		jobs.StatusSucceeded: func(name string) uuid.UUID { return f.answered(name, time.Minute).ID },
		jobs.StatusFailed: func(name string) uuid.UUID {
			job, work, _ := f.running(name)
			f.finish(f.failure(work, f.at(time.Minute)))
			return job.ID
		},
		jobs.StatusCancelled: func(name string) uuid.UUID {
			job := f.submit(name).Job
			f.cancel(job.ID)
			return job.ID
		},
		jobs.StatusExpired: func(name string) uuid.UUID {
			job := f.submit(name, withDeadline(f.at(time.Second))).Job
			f.expire(f.at(time.Second))
			return job.ID
		},
	}
}

func terminalNeverChanges(f *fixture) {
	for status, end := range f.ways() {
		id := end(string(status))
		before := f.ended(id, status)
		got, stopped := f.cancel(id)
		if !reflect.DeepEqual(got, before) || len(stopped) != 0 {
			f.t.Fatalf("cancel a job that is %s:\n got %+v, stopped %v\nwant %+v, none", status, got, stopped, before)
		}
		f.expire(f.at(48 * time.Hour))
		f.settle()
		if after := f.ended(id, status); !reflect.DeepEqual(after, before) {
			f.t.Fatalf("a job that is %s changed:\n got %+v\nwant %+v", status, after, before)
		}
	}
}

func (f *fixture) delete(id uuid.UUID) {
	f.t.Helper()
	f.must(f.store.Delete(f.t.Context(), tenant, id), "delete")
}

func liveIsNotDeleted(f *fixture) {
	queued := f.submit("queued").Job
	f.mustBe(f.store.Delete(f.t.Context(), tenant, queued.ID), jobs.ErrLive, "delete a queued job")
	f.claim(f.release(f.now), f.worker())
	f.mustBe(f.store.Delete(f.t.Context(), tenant, queued.ID), jobs.ErrLive, "delete a running job")
	f.live(queued.ID)
}

// gone asserts that no part of the job can be read.
func (f *fixture) gone(id uuid.UUID) {
	f.t.Helper()
	ctx := f.t.Context()
	_, err := f.store.Job(ctx, tenant, id)
	f.mustBe(err, jobs.ErrNotFound, "read a deleted job")
	_, err = f.store.Request(ctx, tenant, id)
	f.mustBe(err, jobs.ErrNotFound, "read a deleted job's request")
	_, err = f.store.Calls(ctx, tenant, id)
	f.mustBe(err, jobs.ErrNotFound, "list a deleted job's calls")
	_, err = f.store.Events(ctx, tenant, id)
	f.mustBe(err, jobs.ErrNotFound, "list a deleted job's events")
	f.mustBe(f.store.Delete(ctx, tenant, id), jobs.ErrNotFound, "delete a deleted job")
}

func deletedIsGone(f *fixture) {
	for status, end := range f.ways() {
		id := end(string(status))
		f.mustBe(f.store.Delete(f.t.Context(), "other", id), jobs.ErrNotFound, "delete another tenant's job")
		f.ended(id, status)
		f.delete(id)
		f.gone(id)
	}
}

func answerGoesWithLastJob(f *fixture) {
	first, work, _ := f.running("a")
	second := f.submit("a").Job
	f.finish(f.success(work, f.at(time.Minute)))
	late := []edit{withMaxAge(time.Hour), withCreated(f.at(2 * time.Minute)), withoutDedupe}
	copied := f.submit("a", late...).Job

	f.delete(first.ID)
	equal(f, string(f.ended(second.ID, jobs.StatusSucceeded).Result), answer, "result of the second")
	equal(f, len(f.calls(second.ID)), 1, "calls of the second")
	f.delete(second.ID)
	equal(f, string(f.ended(copied.ID, jobs.StatusSucceeded).Result), answer, "result of the copy")
	another := f.submit("a", late...).Job
	equal(f, another.Cached, true, "copied while a copy is left")
	f.delete(copied.ID)
	f.delete(another.ID)
	equal(f, f.submit("a", late...).Job.Cached, false, "copied from what was deleted")
}

func deletedBesideRun(f *fixture) {
	first, work, _ := f.running("a")
	second := f.submit("a").Job
	f.cancel(first.ID)
	f.delete(first.ID)
	f.gone(first.ID)
	f.finish(f.success(work, f.at(time.Minute)))
	equal(f, string(f.ended(second.ID, jobs.StatusSucceeded).Result), answer, "result")
}

func deletedIsStale(f *fixture) {
	job, work, _ := f.running("a")
	f.cancel(job.ID)
	f.delete(job.ID)
	_, err := f.store.Finish(f.t.Context(), f.success(work, f.at(2*time.Minute)))
	f.mustBe(err, jobs.ErrStale, "finish what was deleted")
	f.gone(job.ID)
}
