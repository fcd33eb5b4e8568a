package postgres

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// backlog fills the queue with n live executions, nine in ten of them the first
// tenant's, and as many ended jobs, behind the store's back.
func backlog(t *testing.T, s *Store, n int) {
	t.Helper()
	const fill = `
		WITH v AS (
			SELECT n, gen_random_uuid() AS id, CASE WHEN n % 10 > 0 THEN 't0' ELSE 't' || n % 1000 END AS tenant,
				now() + n * interval '1 second' AS deadline
			FROM generate_series(1, $1::integer) AS n
		), q AS (
			INSERT INTO queue (id, tenant, dedupe_key, hash, route, priority, cost, deadline, stop_at, payer_job_id, no_store)
			SELECT id, tenant, md5(n::text), md5(n::text), 'default', 0, 1, deadline, deadline, id, false FROM v
		), l AS (
			INSERT INTO live_jobs (execution_id, job_id, tenant, priority, deadline) SELECT id, id, tenant, 0, deadline FROM v
		), r AS (
			INSERT INTO results (execution_id, tenant, hash, fence, status, provider, model, tries, cacheable, finished_at)
			SELECT ($2 || lpad(to_hex(n), 8, '0'))::uuid, tenant, md5(n::text), 1, 'succeeded', 'p', 'm', 0, true, now() FROM v
		)
		INSERT INTO jobs (id, tenant, execution_id, status, endpoint, model, priority, deadline, created_at, hash,
			deduplicated, cached, end_user)
		SELECT ($2 || lpad(to_hex(n), 8, '0'))::uuid, tenant, ($2 || lpad(to_hex(n), 8, '0'))::uuid, 'succeeded', 'e', 'm',
			0, deadline, now(), md5(n::text), false, false, ''
		FROM v`
	prefix := floorID(time.Now()).String()[:28]
	if _, err := s.pool.Exec(t.Context(), fill, n, prefix); err != nil {
		t.Fatal(err)
	}
}

// planOf returns the plan that the store's connections use for a statement,
// with what it really did.
func planOf(t *testing.T, s *Store, sql string, args ...any) string {
	t.Helper()
	var plan []string
	err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
		values := make([]string, len(args))
		types := make([]string, len(args))
		for i, a := range args {
			values[i], types[i] = literal(t, a)
		}
		prepare := fmt.Sprintf("PREPARE planned (%s) AS %s", strings.Join(types, ", "), sql)
		if _, err := tx.Exec(t.Context(), prepare, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		explain := fmt.Sprintf("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) EXECUTE planned (%s)", strings.Join(values, ", "))
		rows, err := tx.Query(t.Context(), explain, pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			return err
		}
		plan, err = pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		_, err = tx.Exec(t.Context(), "DEALLOCATE planned", pgx.QueryExecModeSimpleProtocol)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "\n")
}

func literal(t *testing.T, v any) (value, kind string) {
	t.Helper()
	switch v := v.(type) {
	case string:
		return "'" + v + "'", "text"
	case int:
		return fmt.Sprint(v), "integer"
	case int16:
		return fmt.Sprint(v), "smallint"
	case time.Time:
		return "'" + v.Format(time.RFC3339Nano) + "'", "timestamptz"
	case uuid.UUID:
		return "'" + v.String() + "'", "uuid"
	case []uuid.UUID:
		return "'{" + strings.Join(column(v, uuid.UUID.String), ",") + "}'", "uuid[]"
	default:
		t.Fatalf("no literal for a %T", v)
		return "", ""
	}
}

// scanned fails the test when a plan reads a whole table.
func scanned(t *testing.T, plan string, tables ...string) {
	t.Helper()
	for _, table := range tables {
		if strings.Contains(plan, "Seq Scan on "+table) {
			t.Fatalf("the plan reads all of %s:\n%s", table, plan)
		}
	}
}

// A statement is prepared while its tables are empty and never analysed: that
// is when a planner that goes by statistics takes the plan that is wrong later.
func TestPlansHoldForABacklog(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{MaxConns: 1, Timeout: 5 * time.Minute})
	ready := func() []jobs.Candidate {
		got, err := s.Ready(t.Context(), jobs.ReadyQuery{
			Route: "default", Now: time.Now(), Tenants: 32, PerTenant: 8,
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	ready()
	backlog(t, s, 50_000)
	if got := len(ready()); got != 32*8 {
		t.Fatalf("ready: got %d, want %d", got, 32*8)
	}

	plan := planOf(t, s, readyQuery, "default", int16(0), time.Now(), "", 32, 8)
	scanned(t, plan, "queue")
	if n := buffers(t, plan); n > 2000 {
		t.Fatalf("ready read %d buffers of a backlog of 50,000, want at most 2,000:\n%s", n, plan)
	}

	id := firstJob(t, s)
	plan = planOf(t, s, selectJob, time.Now(), id, "t0")
	scanned(t, plan, "queue", "jobs", "results", "releases")
	if n := buffers(t, plan); n > 30 {
		t.Fatalf("reading a job read %d buffers, want at most 30:\n%s", n, plan)
	}
	onePartition(t, plan, "jobs")
	onePartition(t, plan, "results")

	plan = planOf(t, s, selectJobs, time.Now(), []uuid.UUID{id})
	scanned(t, plan, "queue", "jobs", "results", "releases")
	onePartition(t, plan, "jobs")
}

func firstJob(t *testing.T, s *Store) (id uuid.UUID) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), `SELECT id FROM jobs WHERE tenant = 't0' ORDER BY id LIMIT 1`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

// buffers returns how many pages the first node of a plan touched.
func buffers(t *testing.T, plan string) int {
	t.Helper()
	for line := range strings.Lines(plan) {
		if _, rest, ok := strings.Cut(line, "Buffers: shared"); ok {
			total := 0
			for field := range strings.FieldsSeq(rest) {
				var n int
				name, count, _ := strings.Cut(field, "=")
				if _, err := fmt.Sscan(count, &n); err == nil && (name == "hit" || name == "read") {
					total += n
				}
			}
			return total
		}
	}
	t.Fatalf("no buffers in the plan:\n%s", plan)
	return 0
}

// onePartition fails the test unless just one partition of the table is read.
func onePartition(t *testing.T, plan, table string) {
	t.Helper()
	read := 0
	for line := range strings.Lines(plan) {
		if strings.Contains(line, " on "+table+"_") && !strings.Contains(line, "never executed") &&
			!strings.Contains(line, "Bitmap Index") {
			read++
		}
	}
	if read != 1 {
		t.Fatalf("the plan reads %d partitions of %s, want 1:\n%s", read, table, plan)
	}
}
