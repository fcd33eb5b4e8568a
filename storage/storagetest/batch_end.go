package storagetest

import (
	"fmt"
	"time"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func batchEndRules() []batchRule {
	return []batchRule{
		{"a batch begins when its lines have been read", batchBegins},
		{"a batch some line of which is no good fails, and has no lines", batchIsRejected},
		{"no more problems are kept than are allowed", batchHasManyProblems},
		{"a batch that is not validating is not rejected", batchIsNotRejected},
		{"a batch is finalizing when it is said so", batchFinalizes},
		{"a batch ends when all its lines have", batchEnds},
		{"invariant 4: the end of a batch is told with it", batchEndIsTold},
	}
}

func batchBegins(f *batchFixture) {
	b := f.batch()
	f.holds()
	got := f.begin(b)
	equal(f.fixture, got.Status, batches.StatusInProgress, "status")
	equal(f.fixture, got.StartedAt, f.at(time.Second), "started at")
	f.same(f.batchNow(b), got, "batch as it is read")
	again, err := f.batches.BeginBatch(f.t.Context(), f.holder, b.ID, f.at(time.Hour))
	f.must(err, "begin again")
	f.same(again, got, "batch")
	f.cancelBatch(b)
	equal(f.fixture, f.begin(b).Status, batches.StatusCancelling, "status")
}

func batchIsRejected(f *batchFixture) {
	b := f.batch()
	f.holds()
	const lines = 2100 // more than one transaction removes
	f.appendTo(b, lines)
	problems := []batches.Problem{
		{Line: 3, Code: "invalid_json_line", Message: "é\"x"}, {Line: 7, Code: "unknown_model", Param: "/body/model", Message: "m"},
	}
	e := f.endpoint()
	event := f.batchEvent()
	f.must(f.batches.RejectBatch(f.t.Context(), f.holder, b.ID, problems, 12, f.at(time.Minute), event), "reject")
	want := b
	want.Status, want.EndedAt, want.Problems, want.ProblemCount = batches.StatusFailed, f.at(time.Minute), problems, 12
	want.Read = batches.Cursor{Lines: lines, Bytes: 100 * lines}
	f.same(f.batchNow(b), want, "batch")
	f.lineNumbers(f.lines(b))
	equal(f.fixture, f.one(e).Event, event.ID, "event")
}

func batchHasManyProblems(f *batchFixture) {
	b := f.batch()
	f.holds()
	problems := make([]batches.Problem, batches.MaxProblems+1)
	for i := range problems {
		problems[i] = batches.Problem{Line: i + 1, Code: "c", Message: "m"}
	}
	f.must(f.batches.RejectBatch(f.t.Context(), f.holder, b.ID, problems, 5000, f.now, nil), "reject")
	got := f.batchNow(b)
	equal(f.fixture, got.ProblemCount, 5000, "problem count")
	f.same(got.Problems, problems[:batches.MaxProblems], "problems")
}

func batchIsNotRejected(f *batchFixture) {
	begun, cancelling := f.begun(1), f.batch()
	f.holds()
	f.cancelBatch(cancelling)
	for _, b := range []batches.Batch{begun, cancelling} {
		before := f.batchNow(b)
		err := f.batches.RejectBatch(f.t.Context(), f.holder, b.ID, nil, 1, f.now, f.batchEvent())
		f.mustBe(err, batches.ErrStatus, "reject")
		f.same(f.batchNow(b), before, "batch")
	}
	f.lineNumbers(f.lines(begun), 1)
}

func batchFinalizes(f *batchFixture) {
	b := f.begun(0)
	for range 2 {
		f.must(f.batches.FinalizeBatch(f.t.Context(), f.holder, b.ID, f.at(time.Minute)), "finalize")
	}
	got := f.batchNow(b)
	equal(f.fixture, got.Status, batches.StatusFinalizing, "status")
	equal(f.fixture, got.FinalizingAt, f.at(time.Minute), "finalizing at")
	f.cancelBatch(b)
	f.mustBe(f.batches.FinalizeBatch(f.t.Context(), f.holder, b.ID, f.now), batches.ErrStatus, "finalize what is cancelling")
	early := f.batch()
	f.holds()
	f.mustBe(f.batches.FinalizeBatch(f.t.Context(), f.holder, early.ID, f.now), batches.ErrStatus, "finalize what has not begun")
}

func batchEnds(f *batchFixture) {
	for _, status := range []batches.Status{batches.StatusCompleted, batches.StatusExpired, batches.StatusCancelled} {
		b := f.begun(2)
		list := f.start(b, 1)
		refused := func(when string) {
			f.t.Helper()
			err := f.batches.EndBatch(f.t.Context(), f.holder, b.ID, status, f.now, f.batchEvent())
			f.mustBe(err, batches.ErrStatus, "end a batch "+when)
		}
		refused("with lines that are live and pending")
		f.endLines(b, batches.LineExpired, batches.CodeBatchExpired, 1)
		refused("with a line that is live")
		f.withdraw(b, 1)
		refused("with a line that is withdrawn")
		f.cancel(list[0].ID)
		f.collect(b, 1)
		refused("with a line that is pending again")
		f.endLines(b, batches.LineExpired, batches.CodeBatchExpired, 1)
		got := f.endBatch(b, status)
		equal(f.fixture, got.Status, status, "status")
		equal(f.fixture, got.EndedAt, f.at(time.Hour), "ended at")
		f.counts(b, batches.Counts{Total: 2, Expired: 2})
	}
}

func batchEndIsTold(f *batchFixture) {
	wants, others := f.endpoint(wantingTypes("batch.*")), f.endpoint(wantingTypes("job.*"))
	b := f.begun(1)
	event := f.batchEvent()
	err := f.batches.EndBatch(f.t.Context(), f.holder, b.ID, batches.StatusCompleted, f.now, event)
	f.mustBe(err, batches.ErrStatus, "end a batch too early")
	equal(f.fixture, len(f.deliveries(wants)), 0, "deliveries of what did not end")
	f.startEnded(b, 1, jobs.StatusSucceeded)
	f.collect(b, 1)
	f.must(f.batches.EndBatch(f.t.Context(), f.holder, b.ID, batches.StatusCompleted, f.now, event), "end a batch")
	d := f.one(wants)
	equal(f.fixture, d.Event, event.ID, "event")
	equal(f.fixture, fmt.Sprint(d.ID), fmt.Sprint(delivery.IDOf(event.ID, wants.ID)), "delivery")
	equal(f.fixture, string(f.due(wants.ID, f.at(time.Hour))[0].Data), string(event.Data), "data")
	equal(f.fixture, len(f.deliveries(others)), 0, "deliveries to one that wants other types")
}
