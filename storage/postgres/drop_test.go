package postgres

import (
	"testing"
	"time"
)

// A job that was cancelled keeps its request, and not the answer that an ephemeral
// job of the same execution had.
func TestAJobWithoutAnswerKeepsNobodysAnswer(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	fleeting, other := testSubmission("a"), testSubmission("a")
	fleeting.Job.Ephemeral, fleeting.NoStore = true, true
	if _, err := s.Submit(t.Context(), fleeting); err != nil {
		t.Fatal(err)
	}
	work := runOne(t, s)
	if _, err := s.Submit(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Cancel(t.Context(), "acme", other.Job.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Finish(t.Context(), benchOutcome(work, []byte(`{}`))); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Drop(t.Context(), time.Now().Add(3*time.Hour), 10); n != 1 || err != nil {
		t.Fatalf("drop: got %d, %v, want 1", n, err)
	}
	var answers int
	err := s.pool.QueryRow(t.Context(), `SELECT count(*) FROM results WHERE body IS NOT NULL`).Scan(&answers)
	if err != nil || answers != 0 {
		t.Errorf("answers left: got %d, %v, want none", answers, err)
	}
	if _, err := s.Request(t.Context(), "acme", other.Job.ID); err != nil {
		t.Errorf("the request of the job that is kept: %v", err)
	}
}
