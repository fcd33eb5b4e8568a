package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/jobs"
)

var errUnavailable = &jobs.Error{Code: jobs.CodeStoreUnavailable}

// untilUp tries until the store answers, and returns how long that took.
func untilUp(t *testing.T, s *Store) time.Duration {
	t.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := s.Ping(ctx)
		if err == nil {
			return time.Since(start)
		}
		if !errors.Is(err, errUnavailable) {
			t.Fatalf("ping while the server is away: got error %v, want unavailability", err)
		}
		if wait(ctx, 10*time.Millisecond) != nil {
			t.Fatalf("the store did not come back: %v", err)
		}
	}
}

func TestAServerThatGoesAndComesBack(t *testing.T) {
	t.Parallel()
	server := testenv.PostgresServer(t)
	s := openStore(t, Config{URL: server.URL()})
	kept := testSubmission("kept")
	if _, err := s.Submit(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	server.Kill()

	lost := testSubmission("lost")
	for doing, try := range map[string]func() error{
		"submit": func() error { _, err := s.Submit(t.Context(), lost); return err },
		"claim":  func() error { _, err := s.Claim(t.Context(), jobs.Claim{Worker: uuid.New()}); return err },
		"finish": func() error { _, err := s.Finish(t.Context(), jobs.Outcome{}); return err },
		"job":    func() error { _, err := s.Job(t.Context(), "acme", kept.Job.ID); return err },
		"lease": func() error {
			held, err := s.Lease(t.Context(), "dispatch", uuid.New(), time.Minute)
			if held {
				t.Error("a lease is held that nobody gave")
			}
			return err
		},
		"expire": func() error { _, err := s.Expire(t.Context(), time.Now(), 10); return err },
		"settle": func() error { _, err := s.Settle(t.Context()); return err },
		"ping":   func() error { return s.Ping(t.Context()) },
	} {
		start := time.Now()
		if err := try(); !errors.Is(err, errUnavailable) {
			t.Errorf("%s without a server: got error %v, want unavailability", doing, err)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s without a server took %v, want a bound", doing, took)
		}
	}

	server.Restart()
	t.Logf("used again after %v", untilUp(t, s))
	if _, err := s.Job(t.Context(), "acme", kept.Job.ID); err != nil {
		t.Fatalf("read what was kept: %v", err)
	}
	if _, err := s.Job(t.Context(), "acme", lost.Job.ID); !errors.Is(err, jobs.ErrNotFound) {
		t.Fatalf("read what was refused: got error %v, want %v", err, jobs.ErrNotFound)
	}
	if _, err := s.Submit(t.Context(), lost); err != nil {
		t.Fatalf("submit again: %v", err)
	}
}

// deafConn is a connection that, once deaf is set, delivers what is written and
// is gone before the answer arrives.
type deafConn struct {
	net.Conn

	deaf *atomic.Bool
}

func (c deafConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.deaf.Load() {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// openDeaf returns a store whose answers are lost while deaf is set.
func openDeaf(t *testing.T) (s *Store, deaf *atomic.Bool) {
	t.Helper()
	deaf = new(atomic.Bool)
	return openStore(t, Config{dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return deafConn{conn, deaf}, nil
	}}), deaf
}

// A submission that is one round trip is kept although its answer is lost:
// repeated with its key it is the same job.
func TestALostAnswerIsRepeatedSafely(t *testing.T) {
	t.Parallel()
	s, deaf := openDeaf(t)
	sub := testSubmission("lost answer")
	sub.Idempotency = &jobs.Idempotency{Key: "k", Fingerprint: sha256.Sum256([]byte("one"))}
	if _, err := s.Submit(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	work := runOne(t, s)
	outcome := jobs.Outcome{
		Task: work.Task, Status: jobs.StatusSucceeded, Result: []byte(`{}`), At: time.Now(),
		Call: jobs.Call{
			ID: work.Call, Execution: work.Task.Execution, Fence: work.Task.Fence, Tenant: work.Tenant,
			RequestHash: work.RequestHash, Provider: work.Provider, Model: work.Model, Status: jobs.CallSuccess,
			CreatedAt: time.Now(),
		},
	}

	deaf.Store(true)
	if _, err := s.Submit(t.Context(), sub); !errors.Is(err, errUnavailable) {
		t.Fatalf("submit, answer lost: got error %v, want unavailability", err)
	}
	if _, err := s.Finish(t.Context(), outcome); !errors.Is(err, errUnavailable) {
		t.Fatalf("finish, answer lost: got error %v, want unavailability", err)
	}
	deaf.Store(false)

	again, err := s.Submit(t.Context(), sub)
	if err != nil || !again.Replayed || again.Job.ID != sub.Job.ID {
		t.Fatalf("submit again: got %+v, %v, want job %s replayed", again, err, sub.Job.ID)
	}
	ended, err := s.Finish(t.Context(), outcome)
	if err != nil || len(ended) != 1 || ended[0] != sub.Job.ID {
		t.Fatalf("finish again: got %v, %v, want job %s", ended, err, sub.Job.ID)
	}
}

// A claim is one round trip, so that a lost answer is one of a commit.
func TestAClaimWhoseAnswerIsLostIsRepeated(t *testing.T) {
	t.Parallel()
	s, deaf := openDeaf(t)
	if _, err := s.Submit(t.Context(), testSubmission("claimed")); err != nil {
		t.Fatal(err)
	}
	first := runOne(t, s)
	workers, err := s.Workers(t.Context())
	if err != nil || len(workers) != 1 {
		t.Fatalf("workers: got %+v, %v, want one", workers, err)
	}
	claim := jobs.Claim{Task: first.Task, Worker: workers[0].ID, Call: first.Call, At: time.Now()}
	deaf.Store(true)
	if _, err := s.Claim(t.Context(), claim); !errors.Is(err, errUnavailable) {
		t.Fatalf("claim, answer lost: got error %v, want unavailability", err)
	}
	deaf.Store(false)
	again, err := s.Claim(t.Context(), claim)
	if err != nil || again.Call != first.Call {
		t.Fatalf("claim again: got %+v, %v, want the same work", again, err)
	}
}

// A statement that waits for another's lock is given up in time, and that is
// unavailability, not a fault of the caller.
func TestALockIsNotWaitedForEndlessly(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{LockTimeout: 50 * time.Millisecond})
	sub := testSubmission("locked")
	if _, err := s.Submit(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background()) //nolint:errcheck // the test is over
	if _, err := tx.Exec(t.Context(), `SELECT FROM queue FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Cancel(t.Context(), "acme", sub.Job.ID, time.Now()); !errors.Is(err, errUnavailable) {
		t.Fatalf("cancel what another holds: got error %v, want unavailability", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Cancel(t.Context(), "acme", sub.Job.ID, time.Now()); err != nil {
		t.Fatalf("cancel what is free again: %v", err)
	}
}

// A process that fell silent in the middle of a transaction keeps the locks it
// has. It delays no deadline but those of the very jobs it was ending.
func TestALockedExecutionDelaysNoOtherDeadline(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{LockTimeout: 50 * time.Millisecond})
	held, free := testSubmission("held"), testSubmission("free")
	for _, sub := range []jobs.Submission{held, free} {
		if _, err := s.Submit(t.Context(), sub); err != nil {
			t.Fatal(err)
		}
	}
	letGo := holdRow(t, s, held.Execution)
	late := held.Job.Deadline.Add(time.Hour)
	x, err := s.Expire(t.Context(), late, 10)
	if err != nil || len(x.Ended) != 1 || x.Ended[0] != free.Job.ID {
		t.Fatalf("expire beside a lock: got %v, %v, want job %s alone", x.Ended, err, free.Job.ID)
	}
	letGo()
	for err == nil && len(x.Ended) == 0 || len(x.Ended) == 1 && x.Ended[0] == free.Job.ID {
		x, err = s.Expire(t.Context(), late, 10) // until the server has noticed
	}
	if err != nil || len(x.Ended) != 1 || x.Ended[0] != held.Job.ID {
		t.Fatalf("expire after it: got %v, %v, want job %s", x.Ended, err, held.Job.ID)
	}
}

// A process that falls silent in the middle of a transaction loses its locks.
func TestASilentTransactionLosesItsLocks(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	held := testSubmission("held")
	if _, err := s.Submit(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background()) //nolint:errcheck // it was ended
	if _, err := tx.Exec(t.Context(), `SELECT FROM queue WHERE id = $1 FOR UPDATE`, held.Execution); err != nil {
		t.Fatal(err)
	}
	if j, _, err := s.Cancel(t.Context(), held.Job.Tenant, held.Job.ID, time.Now()); err != nil ||
		j.Status != jobs.StatusCancelled {
		t.Errorf("cancel: %s, %v", j.Status, err)
	}
}
