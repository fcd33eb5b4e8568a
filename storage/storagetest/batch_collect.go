package storagetest

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

func collectRules() []batchRule {
	return []batchRule{
		{"what became of a job is noted on its line, and counted", collects},
		{"lines have their place as their jobs ended", collectOrders},
		{"invariant 2: a line is collected once", collectsOnce},
		{"no more is collected than is asked for", collectsSome},
		{"usage and cost are the sums of what is known", collectSums},
		{"what was shared is counted if it succeeded", collectShared},
		{"a withdrawn line whose job was cancelled is pending again", collectWithdrawn},
		{"a withdrawn line whose job has ended has ended", collectWithdrawnEnded},
		{"a line whose job is gone has failed", collectGone},
		{"the rate is kept as it is given", collectRate},
		{"pending lines end, and no others", endsLines},
		{"of the lines that are named those end that are pending", endsNamedLines},
	}
}

func collects(f *batchFixture) {
	b := f.begun(7)
	codes := map[int]string{
		1: "", 2: string(providers.ServerError), 3: jobs.CodeCancelled, 4: jobs.CodeExpired,
	}
	states := map[int]batches.State{
		1: batches.LineSucceeded, 2: batches.LineFailed, 3: batches.LineCancelled, 4: batches.LineExpired,
	}
	made := map[int]jobs.Job{}
	for n, status := range map[int]jobs.Status{
		1: jobs.StatusSucceeded, 2: jobs.StatusFailed, 3: jobs.StatusCancelled, 4: jobs.StatusExpired,
	} {
		made[n] = f.startEnded(b, n, status)
	}
	live := f.start(b, 5)[0]
	running, _, _ := f.running("running", withBatch(b))
	f.startAs(b, []int{6}, running)
	f.collect(b, 4)
	f.counts(b, batches.Counts{Total: 7, Pending: 1, Live: 2, Succeeded: 1, Failed: 1, Cancelled: 1, Expired: 1})
	for n, state := range states {
		want := line(n)
		want.State, want.Code, want.Job, want.Seq = state, codes[n], made[n].ID, int64(n)
		f.same(f.lineNow(b, n), want, "line")
	}
	equal(f.fixture, f.lineNow(b, 5).Job, live.ID, "job of a line that is live")
	equal(f.fixture, f.lineNow(b, 6).State, batches.LineLive, "state of a line whose job is running")
}

func collectOrders(f *batchFixture) {
	b := f.begun(6)
	for i, n := range []int{4, 2, 5} {
		j := f.endedAs(jobs.StatusSucceeded, fmt.Sprint(n), time.Duration(i+1)*time.Minute, withBatch(b))
		f.startAs(b, []int{n}, j)
	}
	f.collect(b, 3)
	early := f.endedAs(jobs.StatusSucceeded, "early", time.Second, withBatch(b))
	f.startAs(b, []int{1}, early)
	f.collect(b, 1)
	f.endLines(b, batches.LineExpired, batches.CodeBatchExpired, 2)
	for n, seq := range map[int]int64{4: 1, 2: 2, 5: 3, 1: 4, 3: 5, 6: 6} {
		equal(f.fixture, f.lineNow(b, n).Seq, seq, fmt.Sprintf("seq of line %d", n))
	}
}

func collectsOnce(f *batchFixture) {
	b := f.begun(3)
	f.startEnded(b, 1, jobs.StatusSucceeded)
	f.startEnded(b, 2, jobs.StatusFailed)
	got := f.collect(b, 2)
	lines := f.lines(b)
	f.same(f.collect(b, 0), got, "batch")
	f.same(f.lines(b), lines, "lines")
}

func collectsSome(f *batchFixture) {
	b := f.begun(5)
	for n := range 5 {
		f.startEnded(b, n+1, jobs.StatusSucceeded)
	}
	for _, want := range []int{2, 2, 1, 0} {
		_, n, err := f.batches.CollectLines(f.t.Context(), f.holder, b.ID, 0, 2)
		f.must(err, "collect")
		equal(f.fixture, n, want, "collected")
	}
	f.counts(b, batches.Counts{Total: 5, Succeeded: 5})
}

func collectSums(f *batchFixture) {
	b := f.begun(5)
	f.startEnded(b, 1, jobs.StatusCancelled)
	got := f.collect(b, 1)
	f.same(got.Usage, providers.Usage{}, "usage of nothing")
	f.startEnded(b, 2, jobs.StatusSucceeded)
	f.startEnded(b, 3, jobs.StatusFailed)
	f.startEnded(b, 4, jobs.StatusSucceeded)
	got = f.collect(b, 3)
	want := providers.Usage{Known: true, InputTokens: 22, OutputTokens: 44, CachedTokens: 6, ReasoningTokens: 8}
	f.same(got.Usage, want, "usage")
	equal(f.fixture, got.CostUSD, jobs.USD(5_000_000), "cost")
	f.startEnded(b, 5, jobs.StatusSucceeded)
	equal(f.fixture, f.collect(b, 1).CostUSD, jobs.USD(7_500_000), "cost with what came later")
}

func collectShared(f *batchFixture) {
	b := f.begun(6)
	first, w, _ := f.running("a", withBatch(b))
	attached := f.submit("a", withBatch(b)).Job
	f.finish(f.success(w, f.at(time.Minute)))
	cached := f.submit("a", withBatch(b), withMaxAge(time.Hour), withCreated(f.at(2*time.Minute))).Job
	equal(f.fixture, cached.Cached, true, "cached")
	_, w, _ = f.running("b")
	failed := f.submit("b", withBatch(b)).Job
	f.finish(f.failure(w, f.at(time.Minute)))
	_, _, _ = f.running("c")
	left := f.submit("c", withBatch(b)).Job
	f.cancel(left.ID)
	f.startAs(b, []int{1, 2, 3, 4, 5}, first, attached, cached, failed, left)
	f.collect(b, 5)
	f.counts(b, batches.Counts{Total: 6, Pending: 1, Succeeded: 3, Failed: 1, Cancelled: 1, Deduplicated: 2})
}

func collectWithdrawn(f *batchFixture) {
	b := f.begun(3)
	list := f.start(b, 1, 2)
	f.withdraw(b, 1, 2)
	f.cancel(list[0].ID)
	got := f.collect(b, 1)
	equal(f.fixture, got.CostUSD, jobs.USD(0), "cost")
	f.counts(b, batches.Counts{Total: 3, Pending: 2, Live: 1})
	want := line(1)
	want.Attempt = 1
	f.same(f.lineNow(b, 1), want, "line")
	f.lineNumbers(f.pending(b, 10), 1, 3)
	again := f.submit("again", withBatch(b)).Job
	f.startAs(b, []int{1}, again)
	f.withdraw(b, 1)
	f.cancel(again.ID)
	f.collect(b, 1)
	equal(f.fixture, f.lineNow(b, 1).Attempt, 2, "attempt")
}

func collectWithdrawnEnded(f *batchFixture) {
	b := f.begun(3)
	for n, status := range map[int]jobs.Status{
		1: jobs.StatusSucceeded, 2: jobs.StatusFailed, 3: jobs.StatusExpired,
	} {
		f.startEnded(b, n, status)
	}
	f.withdraw(b, 1, 2, 3)
	f.collect(b, 3)
	f.counts(b, batches.Counts{Total: 3, Succeeded: 1, Failed: 1, Expired: 1})
}

func collectGone(f *batchFixture) {
	b := f.begun(2)
	for n := range 2 {
		j := f.startEnded(b, n+1, jobs.StatusSucceeded)
		f.must(f.store.Delete(f.t.Context(), tenant, j.ID), "delete a job")
	}
	f.withdraw(b, 2)
	f.collect(b, 2)
	f.counts(b, batches.Counts{Total: 2, Failed: 2})
	for n := range 2 {
		equal(f.fixture, f.lineNow(b, n+1).Code, string(jobs.CodeNotFound), "code")
	}
}

func collectRate(f *batchFixture) {
	b := f.begun(1)
	for _, rate := range []float64{12.5, 0.25, 0, 3} {
		got, _, err := f.batches.CollectLines(f.t.Context(), f.holder, b.ID, rate, 10)
		f.must(err, "collect")
		equal(f.fixture, got.Rate, rate, "rate")
		equal(f.fixture, f.batchNow(b).Rate, rate, "rate as it is read")
	}
}

func endsLines(f *batchFixture) {
	b := f.begun(6)
	f.start(b, 2)
	f.startEnded(b, 1, jobs.StatusSucceeded)
	f.collect(b, 1)
	for _, want := range []int{3, 1, 0} {
		n, err := f.batches.EndLines(f.t.Context(), f.holder, b.ID, batches.LineCancelled, batches.CodeBatchCancelled, nil, 3)
		f.must(err, "end lines")
		equal(f.fixture, n, want, "lines ended")
	}
	f.counts(b, batches.Counts{Total: 6, Live: 1, Succeeded: 1, Cancelled: 4})
	for i, n := range []int{3, 4, 5, 6} {
		want := line(n)
		want.State, want.Code, want.Seq = batches.LineCancelled, batches.CodeBatchCancelled, int64(i+2)
		f.same(f.lineNow(b, n), want, "line")
	}
	equal(f.fixture, f.lineNow(b, 3).Job, uuid.Nil, "job")
}

func endsNamedLines(f *batchFixture) {
	b := f.begun(6)
	f.start(b, 1)
	f.startEnded(b, 2, jobs.StatusSucceeded)
	f.collect(b, 1)
	for _, c := range []struct {
		only  []int
		limit int
		want  int
	}{{[]int{}, 10, 0}, {[]int{2, 4, 1, 4, 99, 3}, 10, 2}, {[]int{3, 5, 6}, 1, 1}} {
		n, err := f.batches.EndLines(f.t.Context(), f.holder, b.ID, batches.LineFailed, "unknown_model", c.only, c.limit)
		f.must(err, "end lines")
		equal(f.fixture, n, c.want, fmt.Sprintf("ended of %v", c.only))
	}
	f.counts(b, batches.Counts{Total: 6, Pending: 1, Live: 1, Succeeded: 1, Failed: 3})
	f.lineNumbers(f.pending(b, 10), 6)
	equal(f.fixture, f.lineNow(b, 4).Code, "unknown_model", "code")
	f.answersOf(batches.AnswerQuery{Batch: b.ID}, 2, 3, 4, 5)
}
