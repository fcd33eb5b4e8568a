//go:build !race

package keeper_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/batches"
)

// Of 10,000 lines, three calls in ten of which fail for a while, every one ends once, with
// an answer or a last reason, and a retry runs only those again that have no answer.
func TestSimLargeBatch(t *testing.T) {
	t.Parallel()
	n := 10_000
	if testing.Short() {
		n = 500
	}
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 500)
		s.answer = func(prompt string, try int) error {
			if one(prompt, try, 10) < 3 {
				return overloaded
			}
			return nil
		}
		s.keep()
		all := append(lines(n/2, "m"), lines(n, "once")[n/2:]...)
		b := s.ended(s.create(all))
		failed := make(map[string]bool)
		for id, a := range s.answers(b) {
			if a.State == batches.LineFailed && a.Code == string(overloaded.Class) {
				failed["p"+id[1:]] = true
			}
		}
		want := batches.Counts{Total: n, Succeeded: n - len(failed), Failed: len(failed)}
		if b.Status != batches.StatusCompleted || b.Counts != want || len(failed) < n/10 || len(failed) > n/5 {
			t.Fatalf("it is %s with %+v, and %d lines have failed", b.Status, b.Counts, len(failed))
		}
		before, _ := s.called()
		s.answer = func(string, int) error { return nil }
		_, again, err := s.batches.Retry(t.Context(), "acme", b.ID)
		s.must(err)
		b = s.ended(b)
		if want := (batches.Counts{Total: n, Succeeded: n}); again != len(failed) || b.Counts != want || len(s.answers(b)) != n {
			t.Errorf("%d of %d lines were run again, and it ended with %+v", again, len(failed), b.Counts)
		}
		after, _ := s.called()
		for prompt, calls := range after {
			if want := before[prompt] + btoi(failed[prompt]); calls != want {
				t.Errorf("%s was asked %d times, want %d", prompt, calls, want)
			}
		}
		t.Logf("%d lines: %d failed at first; %v of virtual time", n, len(failed), b.EndedAt.Sub(b.CreatedAt))
	})
	t.Logf("took %v", time.Since(began).Round(time.Millisecond))
}
