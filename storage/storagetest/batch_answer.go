package storagetest

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

func answerRules() []batchRule {
	return []batchRule{
		{"an answer is what its job was answered", answersTell},
		{"answers are listed in the order of the input, in pages", answersInOrder},
		{"answers are listed as they ended, in pages", answersAsFinished},
		{"answers are listed by state", answersByState},
		{"an answer that was copied is told", answersCopied},
		{"what is deleted of an answer is said to be gone", answersDeleted},
		{"what is dropped of an answer is said to be gone", answersDropped},
		{"what has no answer is grouped by its cause", causesAreGrouped},
	}
}

func (f *batchFixture) answers(q batches.AnswerQuery) []batches.Answer {
	f.t.Helper()
	q.Tenant = tenant
	if q.Limit == 0 {
		q.Limit = 1000
	}
	got, err := f.batches.Answers(f.t.Context(), q)
	f.must(err, "list answers")
	return got
}

// answersOf fails the test unless a query answers those lines, in that order.
func (f *batchFixture) answersOf(q batches.AnswerQuery, want ...int) {
	f.t.Helper()
	var lines []batches.Line
	for _, a := range f.answers(q) {
		lines = append(lines, a.Line)
	}
	f.lineNumbers(lines, want...)
}

func answersTell(f *batchFixture) {
	b := f.mixed()
	got := f.answers(batches.AnswerQuery{Batch: b.ID})
	equal(f.fixture, len(got), 5, "answers")
	for i, a := range got {
		l := f.lineNow(b, i+1)
		want := batches.Answer{Line: l}
		if l.Job != uuid.Nil {
			j := f.job(l.Job)
			want.Result, want.Provider, want.Usage, want.FinishedAt = j.Result, j.Provider, j.Usage, j.FinishedAt
			want.Execution = j.ExecutionID
			if j.Error != nil {
				want.Message = j.Error.Message
				equal(f.fixture, a.Code, j.Error.Code, "code")
			}
		}
		f.same(a, want, "answer")
	}
	equal(f.fixture, string(got[0].Result), answer, "result")
	equal(f.fixture, got[1].Message, "the provider failed", "message")
	equal(f.fixture, got[4].Code, batches.CodeBatchExpired, "code of a line that never was a job")
	live := f.begun(2)
	f.start(live, 1)
	f.answersOf(batches.AnswerQuery{Batch: live.ID})
	f.answersOf(batches.AnswerQuery{Batch: live.ID, AsFinished: true})
}

// shuffled keeps a batch whose lines 1 to 9 end out of their order: 5, 3, 8, 1 and 9
// by turns with an answer and without, the others not.
func (f *batchFixture) shuffled() batches.Batch {
	f.t.Helper()
	b := f.begun(9)
	for i, n := range []int{5, 3, 8, 1, 9} {
		status := jobs.StatusSucceeded
		if i%2 == 1 {
			status = jobs.StatusFailed
		}
		j := f.endedAs(status, fmt.Sprint(n), time.Duration(i+1)*time.Minute, withBatch(b))
		f.startAs(b, []int{n}, j)
	}
	f.collect(b, 5)
	return b
}

func answersInOrder(f *batchFixture) {
	b := f.shuffled()
	f.answersOf(batches.AnswerQuery{Batch: b.ID}, 1, 3, 5, 8, 9)
	f.answersOf(batches.AnswerQuery{Batch: b.ID, Limit: 2}, 1, 3)
	f.answersOf(batches.AnswerQuery{Batch: b.ID, After: 3, Limit: 2}, 5, 8)
	f.answersOf(batches.AnswerQuery{Batch: b.ID, After: 4, Limit: 2}, 5, 8)
	f.answersOf(batches.AnswerQuery{Batch: b.ID, After: 9})
}

func answersAsFinished(f *batchFixture) {
	b := f.shuffled()
	q := batches.AnswerQuery{Batch: b.ID, AsFinished: true}
	f.answersOf(q, 5, 3, 8, 1, 9)
	q.Limit = 2
	f.answersOf(q, 5, 3)
	q.After = 2
	f.answersOf(q, 8, 1)
	q.After = 5
	f.answersOf(q)
	f.endLines(b, batches.LineCancelled, batches.CodeBatchCancelled, 4)
	f.answersOf(q, 2, 4)
}

func answersByState(f *batchFixture) {
	b := f.shuffled()
	failed, succeeded := []batches.State{batches.LineFailed}, []batches.State{batches.LineSucceeded}
	either := []batches.State{batches.LineExpired, batches.LineFailed, batches.LineSucceeded}
	for _, c := range []struct {
		states                 []batches.State
		inOrder, asFinished    []int
		after2, finishedAfter3 []int
	}{
		{succeeded, []int{5, 8, 9}, []int{5, 8, 9}, []int{5, 8, 9}, []int{9}},
		{failed, []int{1, 3}, []int{3, 1}, []int{3}, []int{1}},
		{either, []int{1, 3, 5, 8, 9}, []int{5, 3, 8, 1, 9}, []int{3, 5, 8, 9}, []int{1, 9}},
		{[]batches.State{batches.LineCancelled, batches.LineExpired}, nil, nil, nil, nil},
		{[]batches.State{batches.LinePending}, nil, nil, nil, nil},
	} {
		q := batches.AnswerQuery{Batch: b.ID, States: c.states}
		f.answersOf(q, c.inOrder...)
		q.After = 2
		f.answersOf(q, c.after2...)
		q.AsFinished, q.After = true, 0
		f.answersOf(q, c.asFinished...)
		q.After = 3
		f.answersOf(q, c.finishedAfter3...)
	}
}

func answersCopied(f *batchFixture) {
	b := f.begun(2)
	f.answered("a", time.Minute)
	cached := f.submit("a", withBatch(b), withMaxAge(time.Hour), withCreated(f.at(2*time.Minute))).Job
	stale, w, _ := f.running("a", withBatch(b), withStaleIfError(time.Hour))
	f.finish(f.failure(w, f.at(3*time.Minute)))
	f.startAs(b, []int{1, 2}, cached, stale)
	f.collect(b, 2)
	f.counts(b, batches.Counts{Total: 2, Succeeded: 2, Deduplicated: 2})
	for _, a := range f.answers(batches.AnswerQuery{Batch: b.ID}) {
		equal(f.fixture, string(a.Result), answer, "result")
		equal(f.fixture, a.Code, "", "code")
		equal(f.fixture, a.Message, "", "message")
	}
}

func answersDeleted(f *batchFixture) {
	b := f.mixed()
	for n := 1; n <= 2; n++ {
		f.must(f.store.Delete(f.t.Context(), tenant, f.lineNow(b, n).Job), "delete a job")
	}
	for _, q := range []batches.AnswerQuery{{Batch: b.ID}, {Batch: b.ID, AsFinished: true}} {
		got := f.answers(q)
		equal(f.fixture, len(got), 5, "answers")
		succeeded, failed := f.lineNow(b, 1), f.lineNow(b, 2)
		succeeded.Code = string(jobs.CodeNotFound)
		f.same(got[0], batches.Answer{Line: succeeded, Message: batches.ErrJobGone.Message, Dropped: true}, "answer")
		f.same(got[1], batches.Answer{Line: failed, Message: batches.ErrJobGone.Message}, "failure")
	}
	f.counts(b, batches.Counts{Total: 5, Succeeded: 1, Failed: 1, Cancelled: 1, Expired: 2})
}

func answersDropped(f *batchFixture) {
	b := f.begun(2)
	ephemeral := func(s *jobs.Submission) { s.Job.Ephemeral = true }
	f.startAs(b, []int{1, 2},
		f.endedAs(jobs.StatusSucceeded, "a", time.Minute, withBatch(b), ephemeral),
		f.endedAs(jobs.StatusFailed, "b", time.Minute, withBatch(b), ephemeral))
	f.collect(b, 2)
	_, err := f.store.Drop(f.t.Context(), f.at(day), 10)
	f.must(err, "drop")
	why := jobs.ErrDropped(f.at(day)).Message
	for n, a := range f.answers(batches.AnswerQuery{Batch: b.ID}) {
		want := batches.Answer{Line: f.lineNow(b, n+1), Message: why, Dropped: n == 0}
		if n == 0 {
			want.Code = jobs.CodeDropped
		}
		j := f.job(a.Job)
		want.Provider, want.Usage, want.FinishedAt, want.Execution = j.Provider, j.Usage, j.FinishedAt, j.ExecutionID
		f.same(a, want, "answer")
	}
}

func causesAreGrouped(f *batchFixture) {
	b := f.begun(9)
	causes := func(limit int, want ...batches.Cause) {
		f.t.Helper()
		got, err := f.batches.Causes(f.t.Context(), tenant, b.ID, limit)
		f.must(err, "group causes")
		f.same(got, append([]batches.Cause(nil), want...), "causes")
	}
	causes(10)
	f.startEnded(b, 1, jobs.StatusSucceeded)
	f.startEnded(b, 2, jobs.StatusCancelled)
	for _, n := range []int{7, 3, 5} {
		f.startEnded(b, n, jobs.StatusFailed)
	}
	f.startEnded(b, 4, jobs.StatusExpired)
	f.start(b, 6)
	f.collect(b, 6)
	f.endLines(b, batches.LineCancelled, batches.CodeBatchCancelled, 2)
	failed := batches.Cause{Code: string(providers.ServerError), Count: 3, Line: 3}
	ended := batches.Cause{Code: batches.CodeBatchCancelled, Count: 2, Line: 8}
	causes(2, failed, ended)
	causes(10, failed, ended, batches.Cause{Code: jobs.CodeCancelled, Count: 1, Line: 2},
		batches.Cause{Code: jobs.CodeExpired, Count: 1, Line: 4})
}
