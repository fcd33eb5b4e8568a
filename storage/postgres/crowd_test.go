package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// holdRow locks an execution's row, as a process does that fell silent in the
// middle of a transaction, and returns what lets go of it.
func holdRow(t *testing.T, s *Store, execution uuid.UUID) (letGo func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.pool.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	letGo = sync.OnceFunc(func() { _ = conn.Close(context.Background()) })
	t.Cleanup(letGo)
	if _, err := conn.Exec(t.Context(), `BEGIN`); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `SELECT FROM queue WHERE id = $1 FOR UPDATE`, execution); err != nil {
		t.Fatal(err)
	}
	return letGo
}

// A row that another keeps locked fails those that want it, and nobody else of
// their batch.
func TestALockedExecutionFailsNoOthersOfItsBatch(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{LockTimeout: time.Second})
	held := testSubmission("held")
	if _, err := s.Submit(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	holdRow(t, s, held.Execution)
	// Both committers wait for the lock, so that all that follow share a batch.
	// The second starts when the first waits: else they might share one as well.
	var callers sync.WaitGroup
	for waiting := range 2 {
		callers.Go(func() { _, _ = s.Submit(context.Background(), testSubmission("held")) })
		untilWaiting(t, s, waiting+1)
	}
	errs := make([]error, 6)
	for i := range errs {
		hash := fmt.Sprint("free", i)
		if i == 3 {
			hash = "held"
		}
		callers.Go(func() { _, errs[i] = s.Submit(context.Background(), testSubmission(hash)) })
	}
	callers.Wait()
	for i, err := range errs {
		if i == 3 != errors.Is(err, errUnavailable) || i != 3 && err != nil {
			t.Errorf("submission %d: got error %v, want unavailability for the fourth alone", i, err)
		}
	}
}

// untilWaiting returns when n statements wait for locks.
func untilWaiting(t *testing.T, s *Store, n int) {
	t.Helper()
	const query = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for waiting := -1; waiting < n; {
		if err := s.pool.QueryRow(ctx, query).Scan(&waiting); err != nil {
			t.Fatalf("wait until %d statements wait for locks: %v", n, err)
		}
	}
}

// Many executions with many jobs each, finished at once, are ended in bounded
// transactions.
func TestFinishesOfManyJobsAreBoundedTogether(t *testing.T) {
	t.Parallel()
	const executions, each, chunk = 10, 50, 100
	s := openStore(t, Config{ChunkSize: chunk})
	var outcomes []jobs.Outcome
	for i := range executions {
		var subs []jobs.Submission
		for range each {
			subs = append(subs, testSubmission(fmt.Sprint(i)))
		}
		if _, err := s.submitAll(t.Context(), subs); err != nil {
			t.Fatal(err)
		}
		outcomes = append(outcomes, benchOutcome(runOne(t, s), []byte(`{}`)))
	}
	results, err := s.finishAll(t.Context(), outcomes)
	if err != nil {
		t.Fatal(err)
	}
	first := 0
	for _, r := range results {
		first += len(r.Value.ended)
	}
	if first == 0 || first > chunk {
		t.Errorf("%d jobs ended in one transaction, want some and at most %d", first, chunk)
	}
	for _, o := range outcomes {
		if ended, err := s.Finish(t.Context(), o); err != nil || len(ended) != each {
			t.Errorf("finish: got %d jobs, %v, want %d", len(ended), err, each)
		}
	}
}

// Lists that take for ever leave connections to those who must not wait.
func TestSlowListsLeaveConnections(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{MaxConns: 4, Timeout: 3 * time.Second})
	conn, err := pgx.Connect(t.Context(), s.pool.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), `BEGIN`); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `LOCK TABLE jobs`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var listing sync.WaitGroup
	defer listing.Wait()
	defer cancel()
	for range 10 {
		listing.Go(func() { _, _ = s.Jobs(ctx, jobs.JobQuery{Tenant: "acme", Limit: 10}) })
	}
	untilWaiting(t, s, 1)
	bounded, late := context.WithTimeout(t.Context(), 2*time.Second)
	defer late()
	for beat := range 50 { // in the time that takes, all lists have begun
		if _, err := s.Beat(bounded, jobs.Worker{ID: uuid.Must(uuid.NewV7()), Name: "w"}, nil); err != nil {
			t.Fatalf("beat %d beside slow lists: %v", beat, err)
		}
	}
}

// What cannot be settled, whatever it is, keeps nothing else from being so.
func TestWhatCannotBeSettledIsNoObstacle(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{ChunkSize: 2})
	var executions []uuid.UUID
	for _, hash := range []string{"a", "b"} {
		for range 5 {
			if _, err := s.Submit(t.Context(), testSubmission(hash)); err != nil {
				t.Fatal(err)
			}
		}
		s.interrupt = errors.New("died")
		o := benchOutcome(runOne(t, s), []byte(`{}`))
		if _, err := s.Finish(t.Context(), o); !errors.Is(err, s.interrupt) {
			t.Fatalf("finish: got error %v, want the death", err)
		}
		s.interrupt, executions = nil, append(executions, o.Task.Execution)
	}
	if _, err := s.pool.Exec(t.Context(), `DELETE FROM results WHERE execution_id = $1`, executions[0]); err != nil {
		t.Fatal(err)
	}
	ended, err := s.Settle(t.Context())
	if err == nil || len(ended) != 3 {
		t.Errorf("settle: got %d jobs and error %v, want the 3 of the second and an error for the first", len(ended), err)
	}
}

// Jobs that share one execution are given up as quickly as so many others: what
// stays of it is looked for once.
func TestACrowdIsGivenUpAsQuicklyAsOthers(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	const queue = `
		WITH q AS (
			INSERT INTO queue (id, tenant, dedupe_key, hash, route, priority, cost, deadline, stop_at, payer_job_id, no_store)
			SELECT gen_random_uuid(), 'acme', $1 || n, 'h', $1, 0, 1, now() + interval '1 hour', now() + interval '1 hour',
				gen_random_uuid(), false
			FROM generate_series(1, $2::integer) AS n
			RETURNING id, tenant, deadline
		), l AS (
			INSERT INTO live_jobs (execution_id, job_id, tenant, priority, deadline, on_unavailable, unserved_route)
			SELECT id, gen_random_uuid(), tenant, 0, deadline, 1, $1 FROM q CROSS JOIN generate_series(1, $3::integer)
			RETURNING execution_id, job_id, tenant, deadline
		)
		INSERT INTO jobs (id, tenant, execution_id, status, endpoint, model, priority, deadline, created_at, hash,
			deduplicated, cached, end_user)
		SELECT job_id, tenant, execution_id, 'queued', 'e', 'm', 0, deadline, now(), 'h', true, false, '' FROM l`
	giveUp := func(route string, executions, jobsEach int) time.Duration {
		t.Helper()
		if _, err := s.pool.Exec(t.Context(), queue, route, executions, jobsEach); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		got, err := s.GiveUp(t.Context(), jobs.Unserved{Route: route, At: begun, Limit: 500})
		if err != nil || len(got.Ended) != 500 {
			t.Fatalf("give up: got %d, %v, want 500", len(got.Ended), err)
		}
		return time.Since(begun)
	}
	others := giveUp("others", 5000, 1)
	if crowd := giveUp("crowd", 1, 5000); crowd > 2*others+time.Second/5 {
		t.Errorf("to give up 500 of a crowd took %v, of others %v", crowd, others)
	}
}
