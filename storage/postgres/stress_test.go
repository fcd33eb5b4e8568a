package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// crowd is many goroutines that do everything at once to a few hashes.
type crowd struct {
	t      *testing.T
	s      *Store
	worker jobs.Worker
	// fleeting makes some jobs ephemeral, and some that a stale answer may serve.
	fleeting bool

	mu   sync.Mutex
	jobs []uuid.UUID
}

// Invariants 2 and 3 under everything at once: no deadlock, every job ends once
// and has one event, nothing is stranded.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{BatchSize: 16, Committers: 4, ChunkSize: 4})
	c := &crowd{t: t, s: s, worker: jobs.Worker{ID: uuid.Must(uuid.NewV7()), Name: "crowd"}}
	c.must(c.beat())
	var group sync.WaitGroup
	for range 4 {
		for _, act := range []func() error{c.submit, c.submit, c.run, c.run, c.cancel, c.takeBack} {
			group.Go(func() {
				for range 60 {
					c.must(act())
				}
			})
		}
	}
	group.Go(func() {
		for range 60 {
			_, err := s.Expire(context.Background(), time.Now().Add(30*time.Minute), 5)
			c.must(err)
			_, err = s.Settle(context.Background())
			c.must(err)
		}
	})
	group.Wait()
	c.drain()
	c.check()
}

func (c *crowd) must(err error) {
	if err != nil && !errors.Is(err, jobs.ErrStale) {
		c.t.Error(err)
	}
}

func (c *crowd) beat() error {
	_, err := c.s.Beat(context.Background(), c.worker, nil)
	return err
}

// submit makes a job of one of a few hashes, of any priority, that expires while
// the test runs or not.
func (c *crowd) submit() error {
	sub := testSubmission(fmt.Sprint("h", rand.N(6)))
	sub.Job.Priority = jobs.Priorities()[rand.N(3)]
	sub.Job.Deadline = sub.Job.CreatedAt.Add(time.Duration(1+rand.N(60)) * time.Minute)
	sub.Dedupe = rand.N(10) > 0
	sub.MaxAge = time.Duration(rand.N(2)) * time.Millisecond
	if c.fleeting {
		sub.MaxAge = time.Duration(rand.N(2)) * time.Second
		sub.Job.Ephemeral = rand.N(3) == 0
		sub.NoStore = sub.Job.Ephemeral
		sub.StaleIfError = time.Duration(rand.N(2)) * time.Hour
	}
	if rand.N(2) == 0 {
		sub.Idempotency = &jobs.Idempotency{Key: fmt.Sprint("k", rand.N(200))}
	}
	got, err := c.s.Submit(context.Background(), sub)
	if err == nil {
		c.mu.Lock()
		c.jobs = append(c.jobs, got.Job.ID)
		c.mu.Unlock()
	}
	return err
}

func (c *crowd) release(limit int) ([]jobs.Task, error) {
	var all []jobs.Task
	for _, p := range jobs.Priorities() {
		ready, err := c.s.Ready(context.Background(), jobs.ReadyQuery{
			Route: "default", Priority: p, Now: time.Now().Add(time.Hour), Tenants: 3, PerTenant: limit,
		})
		if err != nil {
			return nil, err
		}
		tasks, err := c.s.Release(context.Background(), column(ready, func(r jobs.Candidate) jobs.Release {
			return jobs.Release{Execution: r.Execution, Fence: r.Fence, Provider: "sim", Model: "sim-1"}
		}), time.Now().Add(time.Hour))
		if err != nil {
			return nil, err
		}
		all = append(all, tasks...)
	}
	return all, nil
}

// run releases a little and ends it in one way or the other.
func (c *crowd) run() error {
	tasks, err := c.release(2)
	if err != nil {
		return err
	}
	for _, task := range tasks {
		if err := c.end(task, rand.N(4)); err != nil && !errors.Is(err, jobs.ErrStale) {
			return err
		}
	}
	return nil
}

func (c *crowd) end(task jobs.Task, how int) error {
	ctx := context.Background()
	work, err := c.s.Claim(ctx, jobs.Claim{
		Task: task, Worker: c.worker.ID, Call: uuid.Must(uuid.NewV7()), At: time.Now(),
	})
	if err != nil {
		return err
	}
	o := benchOutcome(work, []byte(`{}`))
	switch how {
	case 0:
		o.Call.Partial = "half an ans"
		return c.s.Reschedule(ctx, jobs.Rescheduling{
			Task: task, Call: o.Call, RunAt: time.Now().Add(time.Duration(rand.N(2)) * time.Minute), WaitingOn: jobs.WaitingOnRetry, Tries: 1,
		})
	case 1:
		o.Call.Partial = "half an ans"
		o.Status, o.Result, o.Error = jobs.StatusFailed, nil, &jobs.JobError{Code: "server_error", Message: "failed"}
	}
	_, err = c.s.Finish(ctx, o)
	return err
}

func (c *crowd) cancel() error {
	id, ok := c.oneOf(20)
	if !ok {
		return nil
	}
	_, _, err := c.s.Cancel(context.Background(), "acme", id, time.Now())
	if c.fleeting && errors.Is(err, jobs.ErrNotFound) {
		return nil
	}
	return err
}

// oneOf returns one of the last jobs, if there is any.
func (c *crowd) oneOf(last int) (id uuid.UUID, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.jobs)
	if n == 0 {
		return uuid.Nil, false
	}
	return c.jobs[n-1-rand.N(min(n, last))], true
}

// takeBack is the reconciler that finds every task lost.
func (c *crowd) takeBack() error {
	tasks, err := c.s.Unclaimed(context.Background(), time.Now().Add(2*time.Hour), 5)
	if err == nil {
		_, err = c.s.Requeue(context.Background(), tasks)
	}
	return err
}

// drain ends whatever is left. Runs that nobody goes on with are the worker's.
func (c *crowd) drain() {
	c.must(c.s.Retire(context.Background(), c.worker.ID))
	c.must(c.beat())
	c.must(c.takeBackAll())
	for {
		_, _, err := c.s.Unpark(context.Background(), time.Now().Add(time.Hour), 10_000)
		c.must(err)
		tasks, err := c.release(100)
		c.must(err)
		if len(tasks) == 0 {
			return
		}
		for _, task := range tasks {
			c.must(c.end(task, 2))
		}
	}
}

func (c *crowd) takeBackAll() error {
	tasks, err := c.s.Unclaimed(context.Background(), time.Now().Add(2*time.Hour), 10_000)
	if err == nil {
		_, err = c.s.Requeue(context.Background(), tasks)
	}
	return err
}

func (c *crowd) check() {
	c.t.Helper()
	count := func(what, sql string, want int) {
		c.t.Helper()
		var got int
		if err := c.s.pool.QueryRow(c.t.Context(), sql).Scan(&got); err != nil || got != want {
			c.t.Errorf("%s: got %d, %v, want %d", what, got, err, want)
		}
	}
	distinctJobs := map[uuid.UUID]bool{}
	for _, id := range c.jobs {
		distinctJobs[id] = true
	}
	n := len(distinctJobs)
	count("jobs", `SELECT count(*) FROM jobs`, n)
	count("ended jobs", `SELECT count(*) FROM jobs WHERE status <> 'queued' AND finished_at IS NOT NULL`, n)
	count("events", `SELECT count(*) FROM events`, n)
	count("jobs with the one event of their status", `
		SELECT count(*) FROM jobs j WHERE (SELECT array_agg(e.type) FROM events e WHERE e.job_id = j.id)
			= ARRAY['job.' || j.status]`, n)
	for _, table := range []string{"queue", "releases", "live_jobs"} {
		count("rows of "+table, `SELECT count(*) FROM `+table, 0)
	}
	count("succeeded jobs without result", `
		SELECT count(*) FROM jobs j WHERE j.status = 'succeeded'
			AND NOT EXISTS (SELECT FROM results r WHERE r.execution_id = j.execution_id AND r.status = 'succeeded')`, 0)
	count("executions billed more than once", `
		SELECT count(*) FROM (SELECT FROM jobs j WHERE j.cost_usd > 0 GROUP BY execution_id HAVING count(*) > 1) x`, 0)
	noDeadlocks(c.t, c.s)
}

// noDeadlocks fails the test if the database had to break one off. Servers count
// when a connection ends, so it ends all first.
func noDeadlocks(t *testing.T, s *Store) {
	t.Helper()
	const alone = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
		AND backend_type = 'client backend'`
	s.pool.Reset()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for others := 1; others > 0; {
		if err := s.pool.QueryRow(ctx, alone).Scan(&others); err != nil {
			t.Fatalf("wait until all connections have ended: %v", err)
		}
	}
	var n int
	const deadlocks = `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`
	if err := s.pool.QueryRow(ctx, deadlocks).Scan(&n); err != nil || n != 0 {
		t.Errorf("deadlocks: got %d, %v, want none", n, err)
	}
}

// Batches that make and attach to the same executions, each in an order of its
// own, take their locks in one.
func TestBatchesOfTheSameHashesDoNotDeadlock(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	for round := range 10 {
		var group sync.WaitGroup
		for range 4 {
			var batch []jobs.Submission
			for _, n := range rand.Perm(40) {
				batch = append(batch, testSubmission(fmt.Sprint(round, "-", n)))
			}
			group.Go(func() {
				results, err := s.submitAll(context.Background(), batch)
				if err != nil {
					t.Error(err)
				}
				for _, r := range results {
					if r.Err != nil {
						t.Error(r.Err)
					}
				}
			})
		}
		group.Wait()
	}
	var executions int
	if err := s.pool.QueryRow(t.Context(), `SELECT count(*) FROM queue`).Scan(&executions); err != nil || executions != 400 {
		t.Errorf("executions: got %d, %v, want 400", executions, err)
	}
	noDeadlocks(t, s)
}

// What a stale worker tells of a call goes with what was deleted, and not after.
func TestAStaleCallDoesNotOutliveItsExecution(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	for round := range 25 {
		sub := testSubmission(fmt.Sprint(round))
		if _, err := s.Submit(t.Context(), sub); err != nil {
			t.Fatal(err)
		}
		work := runOne(t, s)
		if _, _, err := s.Cancel(t.Context(), "acme", sub.Job.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		o := benchOutcome(work, []byte(`{}`))
		o.Call.ID = uuid.Must(uuid.NewV7()) // a second call, not recorded yet
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := s.Finish(context.Background(), o); !errors.Is(err, jobs.ErrStale) {
				t.Errorf("finish what was cancelled: got error %v, want %v", err, jobs.ErrStale)
			}
		})
		group.Go(func() {
			if err := s.Delete(context.Background(), "acme", sub.Job.ID); err != nil {
				t.Error(err)
			}
		})
		group.Wait()
	}
	var left int
	if err := s.pool.QueryRow(t.Context(), `SELECT count(*) FROM calls`).Scan(&left); err != nil || left != 0 {
		t.Fatalf("calls of deleted executions: got %d, %v, want none", left, err)
	}
}
