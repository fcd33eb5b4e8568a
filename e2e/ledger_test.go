package e2e

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/e2e/history"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/storage/postgres"
	"github.com/penstock-dev/penstock/storage/sealed"
)

// ledger reads the store as it is, past the programs.
type ledger struct {
	url string
}

// query runs one query on a connection of its own: the server may have been
// restarted since the last.
func query[T any](ctx context.Context, l ledger, sql string, scan func(pgx.CollectableRow) (T, error), args ...any) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	db, err := pgx.Connect(ctx, l.url)
	if err != nil {
		return nil, err
	}
	defer db.Close(context.WithoutCancel(ctx))
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}

// held returns what the process is running, by its own claims.
func (l ledger) held(ctx context.Context, pid int) ([]history.Task, error) {
	const sql = `
		SELECT r.execution_id::text, r.fence FROM releases r JOIN workers w ON w.id = r.worker
		WHERE w.name LIKE '%/' || $1::text`
	return query(ctx, l, sql, func(row pgx.CollectableRow) (t history.Task, err error) {
		return t, row.Scan(&t.Execution, &t.Fence)
	}, strconv.Itoa(pid))
}

// claimedSince counts the tasks that somebody has claimed under a later fence.
func (l ledger) claimedSince(ctx context.Context, tasks []history.Task) (int, error) {
	const sql = `
		SELECT count(*) FROM unnest($1::uuid[], $2::bigint[]) AS t (execution_id, fence)
		WHERE EXISTS (SELECT FROM calls c WHERE c.execution_id = t.execution_id AND c.fence > t.fence)`
	ids, fences := make([]string, len(tasks)), make([]int64, len(tasks))
	for i, t := range tasks {
		ids[i], fences[i] = t.Execution, t.Fence
	}
	n, err := query(ctx, l, sql, pgx.RowTo[int], ids, fences)
	if err != nil {
		return 0, err
	}
	return n[0], nil
}

// unfinished counts the jobs and the batches that have not ended.
func (l ledger) unfinished(ctx context.Context) (int, error) {
	n, err := query(ctx, l, `
		SELECT (SELECT count(*) FROM live_jobs) + (SELECT count(*) FROM batches WHERE ended_at IS NULL)`, pgx.RowTo[int])
	if err != nil {
		return 0, err
	}
	return n[0], nil
}

// read adds all that the store holds to h.
func (l ledger) read(t *testing.T, h *history.History) {
	t.Helper()
	h.Jobs = all(t, l, `
		SELECT j.id::text, j.tenant, coalesce(i.key, ''), j.execution_id::text, coalesce(j.batch_id::text, ''), j.hash, j.status, coalesce(j.error_code, ''),
			j.deduplicated, j.cached, j.tries, j.created_at, j.deadline, coalesce(j.finished_at, 'epoch')
		FROM jobs j LEFT JOIN idempotency i ON i.job_id = j.id AND i.tenant = j.tenant`,
		func(row pgx.CollectableRow) (j history.Job, err error) {
			return j, row.Scan(&j.ID, &j.Tenant, &j.Key, &j.Execution, &j.Batch, &j.Hash, &j.Status, &j.Error,
				&j.Deduplicated, &j.Cached, &j.Tries, &j.Created, &j.Deadline, &j.Finished)
		})
	h.Events = all(t, l, `SELECT job_id::text, tenant, type FROM events`, pgx.RowToStructByPos[history.Event])
	h.Executions = all(t, l, `
		SELECT q.execution_id::text, q.tenant, q.hash, coalesce(r.fence, 0), coalesce(r.status, ''),
			coalesce(r.error_code, ''), r.body, coalesce(r.tries, 0), r.finished_at
		FROM requests q LEFT JOIN results r ON r.execution_id = q.execution_id`, scanExecution)
	h.Calls = all(t, l, `SELECT execution_id::text, fence, coalesce(status, ''), coalesce(error_class, '') FROM calls`,
		func(row pgx.CollectableRow) (c history.Call, err error) {
			err = row.Scan(&c.Execution, &c.Fence, &c.Status, &c.Class)
			policy := providers.Class(c.Class).Policy()
			c.Try, c.Outage = c.Class != "" && policy.Try, policy.Breaker && policy.Next == providers.RetryHere
			c.Final = c.Class != "" && policy.Next == providers.Final
			return c, err
		})
	l.open(t, h)
	h.Left = map[string]int{}
	for _, table := range []string{"queue", "releases", "live_jobs"} {
		h.Left[table] = all(t, l, `SELECT count(*) FROM `+table, pgx.RowTo[int])[0]
	}
}

// open puts what the results of executions stand for in place of what they are sealed
// as. Those that no job has stay as they are.
func (l ledger) open(t *testing.T, h *history.History) {
	t.Helper()
	below, err := postgres.Open(t.Context(), postgres.Config{URL: l.url, NoMigrate: true, MaxConns: 2})
	if err != nil {
		t.Fatalf("read the store: %v", err)
	}
	defer below.Close()
	secrets, err := sealed.ParseSecrets(secretA)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sealed.New(t.Context(), below, sealed.Config{Secrets: secrets})
	if err != nil {
		t.Fatalf("read the store: %v", err)
	}
	outcomes := map[string]string{}
	for some := range slices.Chunk(h.Jobs, 500) {
		ids := make([]uuid.UUID, len(some))
		for i, j := range some {
			ids[i] = uuid.MustParse(j.ID)
		}
		ended, err := store.Webhooks(below).EndedJobs(t.Context(), ids, true)
		if err != nil {
			t.Fatalf("read the store: %v", err)
		}
		for _, j := range ended {
			if j.Status == jobs.StatusSucceeded {
				outcomes[j.ExecutionID.String()] = digest(j.Result)
			}
		}
	}
	for i, e := range h.Executions {
		if outcome, ok := outcomes[e.ID]; ok {
			h.Executions[i].Outcome = outcome
		}
	}
}

func scanExecution(row pgx.CollectableRow) (e history.Execution, err error) {
	var body []byte
	var finished *time.Time
	err = row.Scan(&e.ID, &e.Tenant, &e.Hash, &e.Fence, &e.Status, &e.Error, &body, &e.Tries, &finished)
	if finished != nil {
		e.Finished = *finished
	}
	if body != nil {
		e.Outcome = digest(body)
	}
	return e, err
}

func all[T any](t *testing.T, l ledger, sql string, scan func(pgx.CollectableRow) (T, error)) []T {
	t.Helper()
	rows, err := query(t.Context(), l, sql, scan)
	if err != nil {
		t.Fatalf("read the store: %v", err)
	}
	return rows
}

// providerCalls returns the provider's log in the words of a history.
func (f *fleet) providerCalls() ([]history.ProviderCall, error) {
	calls := f.calls()
	told := make([]history.ProviderCall, len(calls))
	for i, c := range calls {
		execution, fence, ok := cutLast(c.IdempotencyKey)
		n, err := strconv.ParseInt(fence, 10, 64)
		if !ok || err != nil {
			return nil, fmt.Errorf("the provider got the key %q, want execution-fence", c.IdempotencyKey)
		}
		told[i] = history.ProviderCall{
			Task: history.Task{Execution: execution, Fence: n}, Start: c.Time, End: c.Ended, Outcome: c.Outcome,
		}
	}
	return told, nil
}

func cutLast(key string) (before, after string, ok bool) {
	i := strings.LastIndex(key, "-")
	if i < 0 {
		return "", "", false
	}
	return key[:i], key[i+1:], true
}
