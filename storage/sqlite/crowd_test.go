package sqlite

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// crowd attaches n jobs that would fail to one execution that waits.
func crowd(t *testing.T, s *Store, n int) {
	t.Helper()
	sub := newSubmission()
	sub.Job.OnUnavailable = jobs.OnUnavailableFail
	if _, err := s.Submit(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	_, err := change(t.Context(), s, "attach a crowd", func(ctx context.Context, q *statements) (struct{}, error) {
		for range n - 1 {
			next := sub
			next.Job.ID, next.Job.ExecutionID = uuid.Must(uuid.NewV7()), sub.Execution
			next.Job.Status = jobs.StatusQueued
			if err := insertJob(ctx, q, next.Job); err != nil {
				return struct{}{}, err
			}
			if err := insertLive(ctx, q, next.Job, next); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Jobs of one execution are given up together, as they expire: to see after each of
// them what stays would keep the one writer for seconds.
func TestACrowdIsGivenUpAsQuicklyAsItExpires(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{Path: newPath(t)})
	crowd(t, s, 5000)
	begun := time.Now()
	expired, err := s.Expire(t.Context(), begun.Add(2*time.Hour), 500)
	if err != nil || len(expired.Ended) != 500 {
		t.Fatalf("expire: got %d, %v, want 500", len(expired.Ended), err)
	}
	usual := time.Since(begun)
	begun = time.Now()
	got, err := s.GiveUp(t.Context(), jobs.Unserved{Route: "default", At: begun, Limit: 500})
	if err != nil || len(got.Ended) != 500 || !got.More {
		t.Fatalf("give up: got %d, more %v, %v, want 500 and more", len(got.Ended), got.More, err)
	}
	if took := time.Since(begun); took > 10*usual+time.Second/10 {
		t.Errorf("to give up took %v, to expire %v", took, usual)
	}
}
