package storagetest

import (
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

func batchJobRules() []batchRule {
	rules := []batchRule{
		{"a job tells its batch", jobTellsBatch},
		{"the jobs of a batch are listed", jobsOfBatch},
		{"invariant 9: the jobs of a batch are its tenant's", jobsOfOthersBatch},
	}
	for _, way := range append(ends(), way{"a copy", jobs.StatusSucceeded, endOfCopy}) {
		rules = append(rules, batchRule{
			"the end of a batch's job is an event that is delivered to nobody: " + way.name,
			func(f *batchFixture) { endIsNotTold(f, way) },
		})
	}
	return rules
}

func jobTellsBatch(f *batchFixture) {
	b := f.begun(3)
	first := f.submit("a", withBatch(b), elsewhere).Job
	equal(f.fixture, first.Batch, b.ID, "batch of what was submitted")
	attached := f.submit("a").Job
	equal(f.fixture, attached.Batch, uuid.Nil, "batch of another job of the execution")
	equal(f.fixture, f.job(first.ID).Batch, b.ID, "batch")
	equal(f.fixture, f.job(attached.ID).Batch, uuid.Nil, "batch of another job")
	ended := f.answered("b", time.Minute, withBatch(b))
	equal(f.fixture, ended.Batch, b.ID, "batch of what has ended")
	copied := f.submit("b", withBatch(b), withMaxAge(time.Hour), withCreated(f.at(2*time.Minute))).Job
	equal(f.fixture, copied.Batch, b.ID, "batch of a copy")
	equal(f.fixture, f.job(copied.ID).Batch, b.ID, "batch of a copy as it is read")
}

func jobsOfBatch(f *batchFixture) {
	b, other := f.begun(3), f.begun(1)
	list := f.start(b, 1, 2, 3)
	f.start(other, 1)
	f.submit("alone")
	f.cancel(list[1].ID)
	f.lists(jobs.JobQuery{Batch: b.ID}, list[2].ID, list[1].ID, list[0].ID)
	f.lists(jobs.JobQuery{Batch: b.ID, Before: list[2].ID, Limit: 1}, list[1].ID)
	f.lists(jobs.JobQuery{Batch: b.ID, Status: jobs.StatusCancelled}, list[1].ID)
	f.lists(jobs.JobQuery{Batch: b.ID, Status: jobs.StatusQueued}, list[2].ID, list[0].ID)
	f.lists(jobs.JobQuery{Batch: newID(f.t)})
	equal(f.fixture, len(f.fixture.list(jobs.JobQuery{})), 5, "jobs of any batch, and of none")
}

func jobsOfOthersBatch(f *batchFixture) {
	b := f.begun(1, func(b *batches.Batch) { b.Tenant = "other" })
	f.submit("a", withBatch(b), withTenant("other"))
	f.lists(jobs.JobQuery{Batch: b.ID})
}

func endOfCopy(f *hookFixture, edits ...edit) []uuid.UUID {
	f.answered("a", time.Minute)
	j := f.submit("a", append(edits, withMaxAge(time.Hour), withCreated(f.at(2*time.Minute)))...).Job
	return []uuid.UUID{j.ID}
}

// endIsNotTold: the job's own webhook is told no more than the tenant's endpoints are.
func endIsNotTold(f *batchFixture, way way) {
	b := f.begun(1)
	all, origin := f.endpoint(), f.origin()
	for _, id := range way.end(f.hookFixture, withBatch(b), withWebhook(origin)) {
		f.ended(id, way.want)
		for _, d := range append(f.deliveries(all), f.deliveries(origin)...) {
			if d.Job == id {
				t := f.job(id)
				f.t.Fatalf("job %s of batch %s: got delivery %+v, want none", id, t.Batch, d)
			}
		}
	}
}
