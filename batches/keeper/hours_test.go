//go:build !race

// Much virtual time, which takes minutes with the race detector.

package keeper_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/batches/keeper"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// aWhile is long beside every clock of the parts that run: what is to happen by itself
// happens in it.
const aWhile = 5 * time.Minute

// Every line ends with an answer or a last reason, and a retry runs only those again that
// have none.
func TestTransientErrorsAndRetry(t *testing.T) {
	bubble(t, 20, func(s *stage) {
		t := s.t
		s.answer = func(prompt string, n int) error {
			if one(prompt, n, 10) < 3 {
				return overloaded
			}
			return nil
		}
		s.keep()
		all := append(lines(60, "m"), lines(120, "once")[60:]...)
		b := s.ended(s.create(all))
		answers := s.answers(b)
		before, _ := s.called()
		var failed []string
		for id, a := range answers {
			if a.State == batches.LineFailed {
				failed = append(failed, "p"+id[1:])
				if a.Code != string(overloaded.Class) {
					t.Errorf("%s failed with %q", id, a.Code)
				}
			}
		}
		if len(answers) != 120 || b.Status != batches.StatusCompleted || len(failed) < 10 || len(failed) > 30 {
			t.Fatalf("got %s with %d answers, %d failed", b.Status, len(answers), len(failed))
		}
		causes, err := s.batches.Causes(t.Context(), "acme", b.ID)
		s.must(err)
		if len(causes) != 1 || causes[0].Code != string(overloaded.Class) || causes[0].Count != len(failed) {
			t.Errorf("got the causes %+v, want %d times %s", causes, len(failed), overloaded.Class)
		}

		s.answer = func(string, int) error { return nil }
		time.Sleep(aWhile)
		_, n, err := s.batches.Retry(t.Context(), "acme", b.ID)
		s.must(err)
		again := s.ended(b)
		if n != len(failed) || again.Counts.Succeeded != 120 || len(s.answers(again)) != 120 {
			t.Errorf("%d of %d were retried, and it ended with %+v", n, len(failed), again.Counts)
		}
		if want := again.EndedAt.Add(24 * time.Hour); again.Deadline.After(want) || again.Deadline.Before(want.Add(-time.Minute)) {
			t.Errorf("the deadline is %v after the end, want that of a new window", again.Deadline.Sub(again.EndedAt))
		}
		after, _ := s.called()
		for prompt, n := range after {
			if want := before[prompt] + btoi(slices.Contains(failed, prompt)); n != want {
				t.Errorf("%s was asked %d times, want %d", prompt, n, want)
			}
		}
	})
}

// Nothing starts 2 s after a batch was cancelled; what had an answer has it still.
func TestCancel(t *testing.T) {
	bubble(t, 10, func(s *stage) {
		t := s.t
		s.took = 3 * time.Second
		s.keep()
		b := s.create(lines(300, "m"))
		s.until(b, "well under way", func(b batches.Batch) bool { return b.Counts.Ended() >= 20 })
		at := time.Now()
		_, err := s.batches.Cancel(t.Context(), "acme", b.ID)
		s.must(err)
		b = s.ended(b)
		if b.Status != batches.StatusCancelled || b.EndedAt.Sub(at) > 5*time.Second || b.CancellingAt.IsZero() {
			t.Errorf("it is %s, %v after that", b.Status, b.EndedAt.Sub(at))
		}
		if b.Counts.Succeeded < 20 || b.Counts.Succeeded+b.Counts.Cancelled != 300 {
			t.Errorf("got %+v", b.Counts)
		}
		time.Sleep(aWhile)
		s.nothingBegan(at.Add(2*time.Second), time.Now())
		never := 0
		for id, a := range s.answers(b) {
			if a.State == batches.LineCancelled && a.Code == batches.CodeBatchCancelled {
				never++
			} else if a.State == batches.LineCancelled && a.Code != jobs.CodeCancelled {
				t.Errorf("%s was cancelled with the code %q", id, a.Code)
			}
		}
		if again, err := s.batches.Cancel(t.Context(), "acme", b.ID); err != nil || again.Status != batches.StatusCancelled {
			t.Errorf("cancelled again: %s (%v)", again.Status, err)
		}
	})
}

// While a batch is paused nothing of it begins, but for what is on its way to a worker;
// then all of it does, once.
func TestPauseAndResume(t *testing.T) {
	bubble(t, 10, func(s *stage) {
		t := s.t
		s.took = 3 * time.Second
		s.keep()
		b := s.create(lines(150, "m"))
		s.until(b, "under way", func(b batches.Batch) bool { return b.Counts.Ended() >= 20 })
		_, err := s.batches.Pause(t.Context(), "acme", b.ID)
		s.must(err)
		at := time.Now()
		b = s.until(b, "at rest", func(b batches.Batch) bool { return b.Counts.Live == 0 })
		time.Sleep(aWhile)
		s.nothingBegan(at.Add(2*time.Second), time.Now())
		still := s.look(b)
		if still.Counts != b.Counts || still.Counts.Ended()+still.Counts.Pending != 150 || !still.Paused || !still.ETA(time.Now()).IsZero() {
			t.Errorf("paused: got %+v, then %+v", b.Counts, still.Counts)
		}
		_, err = s.batches.Resume(t.Context(), "acme", b.ID)
		s.must(err)
		b = s.ended(b)
		by, all := s.called()
		if b.Counts.Succeeded != 150 || len(by) != 150 || all > 150+10 {
			t.Errorf("got %+v and %d calls for %d prompts", b.Counts, all, len(by))
		}
		s.answers(b)
		if _, err := s.batches.Pause(t.Context(), "acme", b.ID); err == nil {
			t.Error("a batch that has ended can be paused")
		}
	})
}

func TestTheDeadline(t *testing.T) {
	bubble(t, 5, func(s *stage) {
		t := s.t
		s.endpoint()
		s.took = 2 * time.Second
		s.keep()
		b := s.create(lines(60, "m"), func(n *batches.New) { n.Window, n.Policy.Concurrency = "11s", 20 })
		b = s.ended(b)
		if b.Status != batches.StatusExpired || b.EndedAt.Sub(b.Deadline) > 5*time.Second || b.EndedAt.Before(b.Deadline) {
			t.Errorf("it is %s %v after its deadline", b.Status, b.EndedAt.Sub(b.Deadline))
		}
		if b.Counts.Succeeded < 15 || b.Counts.Succeeded > 30 || b.Counts.Succeeded+b.Counts.Expired != 60 {
			t.Errorf("got %+v", b.Counts)
		}
		codes := map[string]int{}
		for _, a := range s.answers(b) {
			codes[a.Code]++
		}
		if codes[batches.CodeBatchExpired] == 0 || codes[jobs.CodeExpired] == 0 || len(codes) != 3 {
			t.Errorf("got the codes %v, want some that were jobs and some that were not", codes)
		}
		s.toldOnce(b, delivery.BatchExpired, `"total":60`)
		time.Sleep(time.Minute)
		s.nothingBegan(b.Deadline, time.Now())
	})
}

// A job that was made for a line by a process that died before it could note that does
// not run when the batch is cancelled.
func TestAStrayJobIsCancelledWithItsBatch(t *testing.T) {
	bubble(t, 1, func(s *stage) {
		t := s.t
		s.took = time.Minute
		busy, err := s.jobs.Submit(t.Context(), s.look(s.create(lines(1, "m"))).Job([]byte(`{"model":"m","messages":[{"role":"user","content":"busy"}]}`)))
		s.must(err)
		first := s.keep(func(c *keeper.Config, dead *cut) {
			at := &counting{dead: dead}
			at.left.Store(5)
			c.Jobs = dyingJobs{cutJobs{s.jobs, dead}, at}
		})
		b := s.create(lines(40, "m"))
		for !first.dead.is() {
			time.Sleep(10 * time.Millisecond)
		}
		_, err = s.batches.Cancel(t.Context(), "acme", b.ID)
		s.must(err)
		s.keep()
		b = s.ended(b)
		if b.Status != batches.StatusCancelled || b.Counts.Cancelled != 40 {
			t.Errorf("got %s with %+v", b.Status, b.Counts)
		}
		time.Sleep(aWhile)
		by, _ := s.called()
		delete(by, "p0") // that of the other batch
		if j, err := s.jobs.Job(t.Context(), "acme", busy.Job.ID); err != nil || !j.Status.Terminal() || len(by) != 1 {
			t.Errorf("the calls were %v, want none for a line", by)
		}
	})
}

// While the store is away nothing is lost, and then all goes on.
func TestTheStoreIsAway(t *testing.T) {
	bubble(t, 20, func(s *stage) {
		t := s.t
		k := s.keep()
		b := s.create(lines(150, "m"), func(n *batches.New) { n.Policy.Concurrency = 30 })
		for _, lasts := range []time.Duration{2 * time.Second, 20 * time.Second} {
			time.Sleep(1500 * time.Millisecond)
			k.dead.set(true)
			time.Sleep(lasts)
			k.dead.set(false)
		}
		back := time.Now()
		b = s.ended(b)
		if _, n := s.called(); n != 150 || b.Counts != (batches.Counts{Total: 150, Succeeded: 150}) || len(s.answers(b)) != 150 {
			t.Errorf("%d calls, and %+v", n, b.Counts)
		}
		if took := b.EndedAt.Sub(back); took > 45*time.Second {
			t.Errorf("it took %v from when the store was back", took)
		}
	})
}

// Of an input that cannot be read for a while nothing is refused; it is when its time is
// over.
func TestAnInputThatIsAway(t *testing.T) {
	bubble(t, 20, func(s *stage) {
		t := s.t
		back := time.Now().Add(time.Minute)
		s.keep(func(c *keeper.Config, _ *cut) {
			c.Observer.Error = nil
			c.Open = func(ctx context.Context, b batches.Batch) (io.ReaderAt, int64, error) {
				if b.Metadata["file"] != "" || time.Now().Before(back) {
					return nil, 0, errors.New("the bucket is away")
				}
				return s.open(ctx, b)
			}
		})
		never := s.create(lines(3, "m"), func(n *batches.New) { n.Window, n.Metadata = "3m", map[string]string{"file": "never"} })
		b := s.ended(s.create(lines(3, "m")))
		if b.Counts.Succeeded != 3 || b.EndedAt.Sub(back) > time.Minute {
			t.Errorf("got %+v %v after it was back", b.Counts, b.EndedAt.Sub(back))
		}
		b = s.ended(never)
		if b.Status != batches.StatusFailed || b.Problems[0].Code != batches.CodeInputUnreadable || b.EndedAt.Sub(b.Deadline) > time.Minute {
			t.Errorf("never back: %s, %+v, %v after its deadline", b.Status, b.Problems, b.EndedAt.Sub(b.Deadline))
		}
	})
}
