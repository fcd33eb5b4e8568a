package storagetest

import (
	"time"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

func batchRemovalRules() []batchRule {
	return []batchRule{
		{"a batch is deleted with its lines, and its jobs stay", batchIsDeleted},
		{"a batch that has not ended is not deleted", batchIsNotDeleted},
		{"what is deleted is nothing to its key", batchDeletedIsNotRepeated},
		{"a batch past its retention is removed with its lines", batchIsRetained},
		{"without retention batches stay", batchIsKeptForEver},
		{"batches of tenants may have a shorter retention", batchIsRetainedByTenant},
	}
}

// noBatch asserts that nothing is left of a batch.
func (f *batchFixture) noBatch(b batches.Batch) {
	f.t.Helper()
	_, err := f.batches.Batch(f.t.Context(), b.Tenant, b.ID)
	f.mustBe(err, jobs.ErrNotFound, "read a batch that is gone")
	_, err = f.batches.Answers(f.t.Context(), batches.AnswerQuery{Tenant: b.Tenant, Batch: b.ID, Limit: 10})
	f.mustBe(err, jobs.ErrNotFound, "list its answers")
	f.lineNumbers(f.lines(b))
}

func batchIsDeleted(f *batchFixture) {
	b, other := f.mixed(), f.mixed()
	j := f.lineNow(b, 1).Job
	f.must(f.batches.DeleteBatch(f.t.Context(), tenant, b.ID), "delete a batch")
	f.noBatch(b)
	f.mustBe(f.batches.DeleteBatch(f.t.Context(), tenant, b.ID), jobs.ErrNotFound, "delete it again")
	equal(f.fixture, f.job(j).Batch, b.ID, "batch of its job")
	f.same(f.batchNow(other), other, "another batch")
	equal(f.fixture, len(f.lines(other)), 5, "lines of another")
	big := f.cancelled(2100) // more lines than one transaction removes
	f.must(f.batches.DeleteBatch(f.t.Context(), tenant, big.ID), "delete a big one")
	f.noBatch(big)
}

func batchIsNotDeleted(f *batchFixture) {
	for _, b := range []batches.Batch{f.begun(1), f.batch()} {
		f.mustBe(f.batches.DeleteBatch(f.t.Context(), tenant, b.ID), batches.ErrNotEnded, "delete")
		f.same(f.batchNow(b), b, "batch")
	}
}

func batchDeletedIsNotRepeated(f *batchFixture) {
	b, _ := f.repeat(f.newBatch(), "k", "body")
	f.holds()
	f.cancelBatch(b)
	f.endBatch(b, batches.StatusCancelled)
	f.must(f.batches.DeleteBatch(f.t.Context(), tenant, b.ID), "delete")
	_, replayed := f.repeat(f.newBatch(), "k", "other body")
	equal(f.fixture, replayed, false, "replayed")
}

// batchMadeAt gives the id that a batch made at the time has.
func batchMadeAt(at time.Time) batchEdit {
	return func(b *batches.Batch) {
		b.CreatedAt = at
		var s jobs.Submission
		s.Job.ID, s.Execution = b.ID, b.ID
		madeAt(at)(&s)
		b.ID = s.Job.ID
	}
}

func batchIsRetained(f *batchFixture) {
	old, young := f.cancelled(1100, batchMadeAt(f.at(-31*day))), f.cancelled(2, batchMadeAt(f.at(-29*day)))
	live := f.begun(2, batchMadeAt(f.at(-31*day)))
	for range 2 {
		equal(f.fixture, f.retain(jobs.Retention{Default: 30 * day}), 0, "jobs deleted")
		f.noBatch(old)
		f.same(f.batchNow(young), young, "a young batch")
		equal(f.fixture, len(f.lines(young)), 2, "its lines")
		f.same(f.batchNow(live), live, "a live batch")
		equal(f.fixture, len(f.lines(live)), 2, "its lines")
	}
}

func batchIsKeptForEver(f *batchFixture) {
	b := f.cancelled(1, batchMadeAt(f.at(-1000*day)))
	f.retain(jobs.Retention{})
	f.same(f.batchNow(b), b, "batch")
}

func batchIsRetainedByTenant(f *batchFixture) {
	mine := f.cancelled(1, batchMadeAt(f.at(-2*day)))
	theirs := f.cancelled(1, batchMadeAt(f.at(-2*day)), func(b *batches.Batch) { b.Tenant = "other" })
	f.retain(jobs.Retention{Default: 30 * day, Tenants: map[string]time.Duration{"other": day}})
	f.same(f.batchNow(mine), mine, "batch of another tenant")
	f.noBatch(theirs)
	f.retain(jobs.Retention{Tenants: map[string]time.Duration{tenant: day}})
	f.noBatch(mine)
}
