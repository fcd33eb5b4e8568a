package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/group"
)

// insertLease returns a write that leaves a trace.
func insertLease(name string, then error) write {
	return func(ctx context.Context, t *statements) (any, error) {
		_, err := t.exec(ctx, `INSERT INTO leases (name, holder, expires_at) VALUES (?, x'00', 1)`, name)
		return name, errors.Join(err, then)
	}
}

func leases(t *testing.T, s *Store) []string {
	t.Helper()
	names, err := all(t.Context(), s.reader, scanString, `SELECT name FROM leases ORDER BY name`)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestAMemberThatFailsIsUndoneAlone(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{Path: newPath(t)})
	errOwn := errors.New("its own failure")
	results, err := s.commit(t.Context(), []write{
		insertLease("a", nil), insertLease("b", errOwn), insertLease("a", nil), insertLease("c", nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, failed := range []bool{false, true, true, false} {
		if (results[i].Err != nil) != failed {
			t.Errorf("member %d: got error %v, want one: %v", i, results[i].Err, failed)
		}
	}
	if got := fmt.Sprint(leases(t, s)); got != "[a c]" {
		t.Errorf("kept: got %s, want [a c]", got)
	}
}

func TestALostTransactionFailsAllAndIsForgotten(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{Path: newPath(t)})
	lose := func(ctx context.Context, t *statements) (any, error) {
		_, err := t.exec(ctx, `ROLLBACK`) // as SQLite does by itself when the disk is full
		return nil, errors.Join(err, errors.New("disk full"))
	}
	_, err := s.commit(t.Context(), []write{insertLease("a", nil), lose, insertLease("b", nil)})
	if !isUnavailable(err) {
		t.Fatalf("got error %v, want unavailability", err)
	}
	if got := leases(t, s); len(got) != 0 {
		t.Fatalf("kept: got %v, want nothing", got)
	}
	if _, err := s.commit(t.Context(), []write{insertLease("c", nil)}); err != nil {
		t.Fatalf("the next transaction: %v", err)
	}
}

func TestAWriteThatPanicsFailsAlone(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{Path: newPath(t)})
	busy, free := make(chan struct{}), make(chan struct{})
	var callers sync.WaitGroup
	do := func(name string, panics bool) {
		callers.Go(func() {
			_, err := change(context.Background(), s, "test", func(ctx context.Context, t *statements) (any, error) {
				value, err := insertLease(name, nil)(ctx, t)
				if name == "first" {
					close(busy)
					<-free
				}
				if panics {
					panic("a secret")
				}
				return value, err
			})
			if _, ok := errors.AsType[*group.PanicError](err); ok != panics || !ok && err != nil {
				t.Errorf("write %s: got error %v, want a panic's: %v", name, err, panics)
			}
		})
	}
	do("first", false)
	<-busy
	do("a", false)
	do("b", true)
	do("c", false)
	close(free)
	callers.Wait()
	if got := fmt.Sprint(leases(t, s)); got != "[a c first]" {
		t.Errorf("kept: got %s, want all but b", got)
	}
}

// Looking for what is due twice a second must not wait for those who write, nor
// they for it.
func TestNothingDueNeedsNoWriter(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{Path: newPath(t)})
	sub := newSubmission()
	if _, err := s.Submit(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	busy, free := make(chan struct{}), make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		_, _ = change(context.Background(), s, "test", func(context.Context, *statements) (struct{}, error) {
			close(busy)
			<-free
			return struct{}{}, nil
		})
	})
	<-busy
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if x, err := s.Expire(ctx, sub.Job.Deadline.Add(-time.Second), 10); err != nil || len(x.Ended) != 0 {
		t.Errorf("expire: got %v, %v, want nothing at once", x.Ended, err)
	}
	if ended, err := s.Settle(ctx); err != nil || len(ended) != 0 {
		t.Errorf("settle: got %v, %v, want nothing at once", ended, err)
	}
	close(free)
	writing.Wait()
	if x, err := s.Expire(t.Context(), sub.Job.Deadline, 10); err != nil || len(x.Ended) != 1 {
		t.Errorf("expire at the deadline: got %v, %v, want the job", x.Ended, err)
	}
}

func TestACallerThatGivesUpBreaksNoOthersTransaction(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{Path: newPath(t)})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := change(ctx, s, "test", func(ctx context.Context, t *statements) (struct{}, error) {
		cancel()
		_, err := insertLease("a", nil)(ctx, t)
		return struct{}{}, err
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatalf("got error %v, want none or %v", err, context.Canceled)
	}
	if _, err := s.Submit(ctx, newSubmission()); !errors.Is(err, context.Canceled) || isUnavailable(err) {
		t.Fatalf("submit by a caller that is gone: got error %v, want %v", err, context.Canceled)
	}
	submit(t, s)
	if got := fmt.Sprint(leases(t, s)); got != "[a]" {
		t.Fatalf("kept: got %s, want [a]", got)
	}
}

func TestTheStoreLivesInTheBubblesTime(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, Config{Path: path})
		a, b := uuid.New(), uuid.New()
		lease := func(holder uuid.UUID) bool {
			got, err := s.Lease(t.Context(), "dispatch", holder, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if !lease(a) || lease(b) {
			t.Fatal("a does not have the lease alone")
		}
		job := submit(t, s)
		work := run(t, s, releaseOne(t, s))
		err := s.Reschedule(t.Context(), jobs.Rescheduling{
			Task: work.Task, RunAt: time.Now().Add(time.Hour), WaitingOn: jobs.WaitingOnRetry,
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := statusOf(t, s, job, jobs.StatusQueued); got.WaitingOn != jobs.WaitingOnRetry {
			t.Fatalf("waiting on: got %q, want %q", got.WaitingOn, jobs.WaitingOnRetry)
		}
		time.Sleep(time.Hour) // of the bubble
		if !lease(b) {
			t.Fatal("the lease has not ended after an hour")
		}
		if got := statusOf(t, s, job, jobs.StatusQueued); got.WaitingOn != jobs.WaitingOnCapacity {
			t.Fatalf("waiting on, after its time: got %q, want %q", got.WaitingOn, jobs.WaitingOnCapacity)
		}
		if expired, err := s.Expire(t.Context(), time.Now(), 10); err != nil || len(expired.Ended) != 1 {
			t.Fatalf("expire: got %+v, %v, want one job", expired, err)
		}
	})
}

// What was deleted stays deleted, though its worker does not know it yet.
func TestACallThatComesAfterADeleteIsNotKept(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{Path: newPath(t)})
	job := submit(t, s)
	work := run(t, s, releaseOne(t, s))
	if _, _, err := s.Cancel(t.Context(), job.Tenant, job.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), job.Tenant, job.ID); err != nil {
		t.Fatal(err)
	}
	_, err := s.Finish(t.Context(), jobs.Outcome{
		Task: work.Task, Status: jobs.StatusSucceeded, At: time.Now(),
		Call: jobs.Call{ID: work.Call, Status: jobs.CallSuccess, Partial: "what the tenant deleted"},
	})
	if !errors.Is(err, jobs.ErrStale) {
		t.Fatalf("finish: got error %v, want %v", err, jobs.ErrStale)
	}
	for _, table := range []string{"requests", "results", "jobs", "calls", "events", "queue", "releases", "live_jobs"} {
		var rows int
		if err := s.reader.row(t.Context(), `SELECT count(*) FROM `+table).Scan(&rows); err != nil || rows != 0 {
			t.Errorf("%s: got %d rows, %v, want none", table, rows, err)
		}
	}
}
