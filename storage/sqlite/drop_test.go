package sqlite

import (
	"context"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// A job that was cancelled keeps its request, and not the answer that an ephemeral
// job of the same execution had.
func TestAJobWithoutAnswerKeepsNobodysAnswer(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{Path: newPath(t)})
	fleeting, other := newSubmission(), newSubmission()
	fleeting.Job.Ephemeral, fleeting.NoStore = true, true
	fleeting.Dedupe, other.Dedupe, other.Job.RequestHash = true, true, fleeting.Job.RequestHash
	for _, sub := range []jobs.Submission{fleeting, other} {
		if _, err := s.Submit(t.Context(), sub); err != nil {
			t.Fatal(err)
		}
	}
	work := run(t, s, releaseOne(t, s))
	if _, _, err := s.Cancel(t.Context(), other.Job.Tenant, other.Job.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	o := jobs.Outcome{Task: work.Task, Status: jobs.StatusSucceeded, Result: []byte(`{}`), At: time.Now()}
	if _, err := s.Finish(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Drop(t.Context(), time.Now().Add(100*time.Hour), 10); n != 1 || err != nil {
		t.Fatalf("drop: got %d, %v, want 1", n, err)
	}
	answers, err := read(t.Context(), s, "count answers", func(ctx context.Context, q *statements) (n int, err error) {
		return n, q.row(ctx, `SELECT count(*) FROM results WHERE body IS NOT NULL`).Scan(&n)
	})
	if err != nil || answers != 0 {
		t.Errorf("answers left: got %d, %v, want none", answers, err)
	}
	if _, err := s.Request(t.Context(), other.Job.Tenant, other.Job.ID); err != nil {
		t.Errorf("the request of the job that is kept: %v", err)
	}
}
