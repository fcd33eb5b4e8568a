package storagetest

import (
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

func lineRules() []batchRule {
	return []batchRule{
		{"lines are kept as they were read, and the cursor moves with them", linesAreKept},
		{"what was read twice is kept once", linesAreKeptOnce},
		{"pending lines are told in their order", linesArePending},
		{"a line that is started is live", lineIsStarted},
		{"invariant 3: a line is started once", lineIsStartedOnce},
		{"no line is started unless the batch is in progress", lineIsNotStarted},
		{"lines that are live or withdrawn are told in their order", liveLinesAreTold},
		{"lines are a batch's own", linesOfAnother},
	}
}

func linesAreKept(f *batchFixture) {
	b := f.batch()
	f.holds()
	f.appendTo(b, 5)
	f.appendTo(b, 0)
	f.appendTo(b, 3)
	got := f.batchNow(b)
	equal(f.fixture, got.Read, batches.Cursor{Lines: 8, Bytes: 800}, "cursor")
	f.counts(b, batches.Counts{Total: 8, Pending: 8})
	f.same(f.lines(b), linesBetween(0, 8), "lines")
	page, err := f.batches.Lines(f.t.Context(), b.ID, 3, 2)
	f.must(err, "list lines")
	f.lineNumbers(page, 4, 5)
}

func linesAreKeptOnce(f *batchFixture) {
	b := f.batch()
	f.holds()
	f.appendTo(b, 5)
	for _, from := range []batches.Cursor{{}, {Lines: 5}, {Lines: 5, Bytes: 499}, {Lines: 4, Bytes: 500}} {
		err := f.batches.AppendLines(f.t.Context(), f.holder, b.ID, from, batches.Cursor{Lines: 7, Bytes: 700}, linesBetween(5, 7))
		f.mustBe(err, batches.ErrNotHeld, "append from elsewhere")
	}
	f.counts(b, batches.Counts{Total: 5, Pending: 5})
	equal(f.fixture, f.batchNow(b).Read, batches.Cursor{Lines: 5, Bytes: 500}, "cursor")
}

func (f *batchFixture) pending(b batches.Batch, limit int) []batches.Line {
	f.t.Helper()
	got, err := f.batches.PendingLines(f.t.Context(), b.ID, limit)
	f.must(err, "list pending lines")
	return got
}

func (f *batchFixture) liveLines(b batches.Batch, after, limit int) []batches.Line {
	f.t.Helper()
	got, err := f.batches.LiveLines(f.t.Context(), b.ID, after, limit)
	f.must(err, "list live lines")
	return got
}

func linesArePending(f *batchFixture) {
	b := f.begun(6)
	f.lineNumbers(f.pending(b, 100), 1, 2, 3, 4, 5, 6)
	f.start(b, 1, 3)
	f.startEnded(b, 4, jobs.StatusFailed)
	f.collect(b, 1)
	f.lineNumbers(f.pending(b, 100), 2, 5, 6)
	f.lineNumbers(f.pending(b, 2), 2, 5)
	f.same(f.pending(b, 1)[0], line(2), "pending")
}

func lineIsStarted(f *batchFixture) {
	b := f.begun(3)
	list := f.start(b, 2, 3)
	f.counts(b, batches.Counts{Total: 3, Pending: 1, Live: 2})
	want := line(2)
	want.State, want.Job = batches.LineLive, list[0].ID
	f.same(f.lineNow(b, 2), want, "line")
}

func lineIsStartedOnce(f *batchFixture) {
	b := f.begun(4)
	first := f.start(b, 1, 2)
	f.startEnded(b, 3, jobs.StatusSucceeded)
	f.collect(b, 1)
	before := f.lines(b)
	f.startAs(b, []int{1, 1, 2, 3, 9}, first[0], first[1], first[0], first[0], first[0])
	f.same(f.lines(b), before, "lines")
	f.counts(b, batches.Counts{Total: 4, Pending: 1, Live: 2, Succeeded: 1})
}

func lineIsNotStarted(f *batchFixture) {
	begun, cancelling, validating := f.begun(1), f.begun(1), f.batch()
	f.holds()
	f.appendTo(validating, 1)
	f.cancelBatch(cancelling)
	early := f.batch()
	f.holds()
	f.cancelBatch(early)
	f.appendTo(early, 1)
	equal(f.fixture, f.begin(early).Status, batches.StatusCancelling, "status of what was cancelled before it began")
	f.must(f.batches.FinalizeBatch(f.t.Context(), f.holder, begun.ID, f.now), "finalize")
	for _, b := range []batches.Batch{begun, cancelling, validating, early} {
		before := f.batchNow(b)
		err := f.batches.StartLines(f.t.Context(), f.holder, b.ID, []batches.Started{{N: 1, Job: newID(f.t)}})
		f.mustBe(err, batches.ErrStatus, "start a line of a batch that is "+string(before.Status))
		f.same(f.batchNow(b), before, "batch")
		f.lineNumbers(f.pending(b, 10), 1)
	}
}

func (f *batchFixture) withdraw(b batches.Batch, ns ...int) {
	f.t.Helper()
	f.must(f.batches.WithdrawLines(f.t.Context(), f.holder, b.ID, ns), "withdraw lines")
}

func liveLinesAreTold(f *batchFixture) {
	b := f.begun(7)
	f.start(b, 5, 2, 4, 6)
	f.startEnded(b, 3, jobs.StatusSucceeded)
	f.collect(b, 1)
	f.withdraw(b, 4, 3, 1, 99)
	f.withdraw(b, 4)
	f.lineNumbers(f.liveLines(b, 0, 100), 2, 4, 5, 6)
	f.lineNumbers(f.liveLines(b, 2, 2), 4, 5)
	f.lineNumbers(f.liveLines(b, 6, 100))
	equal(f.fixture, f.lineNow(b, 4).State, batches.LineWithdrawn, "state")
	f.counts(b, batches.Counts{Total: 7, Pending: 2, Live: 4, Succeeded: 1})
	f.startAs(b, []int{4}, f.submit("x", withBatch(b)).Job) // it is not pending
	equal(f.fixture, f.lineNow(b, 4).State, batches.LineWithdrawn, "state of a withdrawn line that is started")
}

func linesOfAnother(f *batchFixture) {
	a, b := f.begun(3), f.begun(3)
	f.start(a, 1)
	f.startEnded(a, 2, jobs.StatusSucceeded)
	f.collect(b, 0)
	f.lineNumbers(f.liveLines(b, 0, 100))
	f.withdraw(b, 1)
	f.endLines(b, batches.LineExpired, batches.CodeBatchExpired, 3)
	equal(f.fixture, f.lineNow(a, 1).State, batches.LineLive, "state")
	f.counts(a, batches.Counts{Total: 3, Pending: 1, Live: 2})
	for _, list := range [][]batches.Line{f.lines(f.newBatch()), f.pending(f.newBatch(), 9), f.liveLines(f.newBatch(), 0, 9)} {
		f.lineNumbers(list)
	}
	equal(f.fixture, f.lineNow(a, 3).Job, uuid.Nil, "job")
	equal(f.fixture, f.batchNow(a).StartedAt, f.at(time.Second), "started at")
}
