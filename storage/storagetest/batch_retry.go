package storagetest

import (
	"time"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

func batchRetryRules() []batchRule {
	return []batchRule{
		{"a retry makes what has no answer pending again", retryResumes},
		{"a retry runs through as the first round does", retryEnds},
		{"a retry of what has not ended is refused", retryTooEarly},
		{"a retry of nothing changes nothing", retryOfNothing},
		{"a batch that was cancelled before it began is read on", retryReadsOn},
	}
}

// retry retries a batch until two hours after now.
func (f *batchFixture) retry(b batches.Batch) (batches.Batch, int) {
	f.t.Helper()
	got, n, err := f.batches.RetryBatch(f.t.Context(), b.Tenant, b.ID, f.at(time.Hour), f.at(2*time.Hour))
	f.must(err, "retry")
	f.same(got, f.batchNow(b), "batch as it is then")
	return got, n
}

// mixed keeps a batch of which one line each has succeeded, failed, expired and was
// cancelled as jobs, and one expired before it was one.
func (f *batchFixture) mixed() batches.Batch {
	f.t.Helper()
	b := f.begun(5)
	f.startEnded(b, 1, jobs.StatusSucceeded)
	f.startEnded(b, 2, jobs.StatusFailed)
	f.startEnded(b, 3, jobs.StatusCancelled)
	f.startEnded(b, 4, jobs.StatusExpired)
	f.collect(b, 4)
	f.endLines(b, batches.LineExpired, batches.CodeBatchExpired, 1)
	return f.endBatch(b, batches.StatusExpired)
}

func retryResumes(f *batchFixture) {
	b := f.mixed()
	kept := f.lineNow(b, 1)
	got, n := f.retry(b)
	equal(f.fixture, n, 4, "lines")
	want := b
	want.Status, want.EndedAt, want.Deadline = batches.StatusInProgress, time.Time{}, f.at(2*time.Hour)
	want.Counts = batches.Counts{Total: 5, Pending: 4, Succeeded: 1}
	f.same(got, want, "batch")
	f.counts(b, want.Counts)
	f.same(f.lineNow(b, 1), kept, "line that has its answer")
	for n := 2; n <= 5; n++ {
		want := line(n)
		want.Round = 1
		f.same(f.lineNow(b, n), want, "line")
	}
	f.lineNumbers(f.pending(b, 10), 2, 3, 4, 5)
}

func retryEnds(f *batchFixture) {
	b := f.mixed()
	f.retry(b)
	f.holds()
	f.startEnded(b, 2, jobs.StatusFailed)
	f.startEnded(b, 3, jobs.StatusSucceeded)
	f.collect(b, 2)
	equal(f.fixture, f.lineNow(b, 2).Seq, 6, "seq of a line that is run again")
	_, err := f.batches.PauseBatch(f.t.Context(), tenant, b.ID, true)
	f.must(err, "pause")
	f.cancelBatch(b)
	f.endLines(b, batches.LineCancelled, batches.CodeBatchCancelled, 2)
	f.endBatch(b, batches.StatusCancelled)
	f.counts(b, batches.Counts{Total: 5, Succeeded: 2, Failed: 1, Cancelled: 2})
	got, n := f.retry(b)
	equal(f.fixture, n, 3, "lines")
	equal(f.fixture, got.Paused, false, "paused")
	equal(f.fixture, got.CancellingAt, time.Time{}, "cancelling at")
	equal(f.fixture, f.lineNow(b, 2).Round, 2, "round")
	equal(f.fixture, f.lineNow(b, 3).Round, 1, "round of a line that has its answer")
}

func retryTooEarly(f *batchFixture) {
	b := f.begun(2)
	f.endLines(b, batches.LineCancelled, batches.CodeBatchCancelled, 2)
	before := f.batchNow(b)
	_, _, err := f.batches.RetryBatch(f.t.Context(), tenant, b.ID, f.now, f.at(time.Hour))
	f.mustBe(err, batches.ErrNotEnded, "retry")
	f.same(f.batchNow(b), before, "batch")
}

func retryOfNothing(f *batchFixture) {
	done, rejected := f.begun(1), f.batch()
	f.startEnded(done, 1, jobs.StatusSucceeded)
	f.collect(done, 1)
	f.endBatch(done, batches.StatusCompleted)
	f.holds()
	f.appendTo(rejected, 1)
	f.must(f.batches.RejectBatch(f.t.Context(), f.holder, rejected.ID, nil, 1, f.now, nil), "reject")
	for _, b := range []batches.Batch{done, rejected} {
		before := f.batchNow(b)
		got, n := f.retry(b)
		equal(f.fixture, n, 0, "lines")
		f.same(got, before, "batch")
	}
}

func retryReadsOn(f *batchFixture) {
	b := f.batch()
	f.holds()
	f.appendTo(b, 2)
	f.cancelBatch(b)
	f.endLines(b, batches.LineCancelled, batches.CodeBatchCancelled, 2)
	f.endBatch(b, batches.StatusCancelled)
	got, _ := f.retry(b)
	equal(f.fixture, got.Status, batches.StatusValidating, "status")
	f.holds()
	f.appendTo(b, 2)
	f.begin(b)
	f.lineNumbers(f.pending(b, 10), 1, 2, 3, 4)
}
