package postgres

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// backlog fills the queue with n live executions, nine in ten of them the first
// tenant's, as many that wait for a time and would stand in front of them, and
// as many ended jobs, behind the store's back.
func backlog(t *testing.T, s *Store, prefix string, n int) {
	t.Helper()
	const fill = `
		WITH v AS (
			SELECT n, gen_random_uuid() AS id, CASE WHEN n % 10 > 0 THEN 't0' ELSE 't' || n % 1000 END AS tenant,
				now() + n * interval '1 second' AS deadline
			FROM generate_series(1, $1::integer) AS n
		), q AS (
			INSERT INTO queue (id, tenant, dedupe_key, hash, route, priority, cost, deadline, stop_at, payer_job_id, no_store)
			SELECT id, tenant, md5(n::text), md5(n::text), 'default', 0, 1, deadline, deadline, id, false FROM v
		), waiting AS (
			INSERT INTO queue (id, tenant, dedupe_key, hash, route, priority, cost, deadline, stop_at, payer_job_id, no_store,
				visible_at, parked_until, waiting_on)
			SELECT gen_random_uuid(), tenant, md5(-n || ''), md5(-n || ''), 'default', 0, 1, now(), deadline, id, false,
				now() + (3600 + n) * interval '1 second', now() + (3600 + n) * interval '1 second', 'retry'
			FROM v
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
	if _, err := s.pool.Exec(t.Context(), fill, n, prefix); err != nil {
		t.Fatal(err)
	}
}

// prepared is a statement that was prepared, and run, before its tables were
// filled: that is when a planner that goes by statistics takes the plan that is
// wrong later.
type prepared struct {
	t    *testing.T
	s    *Store
	name string
	args string
}

func prepare(t *testing.T, s *Store, name, sql string, args ...any) prepared {
	t.Helper()
	values := make([]string, len(args))
	types := make([]string, len(args))
	for i, a := range args {
		values[i], types[i] = literal(t, a)
	}
	p := prepared{t: t, s: s, name: name, args: strings.Join(values, ", ")}
	p.run(fmt.Sprintf("PREPARE %s (%s) AS %s", name, strings.Join(types, ", "), sql))
	p.run(fmt.Sprintf("EXECUTE %s (%s)", name, p.args))
	return p
}

// run sends sql on the store's one connection and returns the first column.
func (p prepared) run(sql string) []string {
	p.t.Helper()
	var lines []string
	err := p.s.pool.AcquireFunc(p.t.Context(), func(conn *pgxpool.Conn) error {
		results, err := conn.Conn().PgConn().Exec(p.t.Context(), sql).ReadAll()
		for _, r := range results {
			for _, row := range r.Rows {
				lines = append(lines, string(row[0]))
			}
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return lines
}

// plan returns the statement's plan, with what it really did.
func (p prepared) plan() string {
	p.t.Helper()
	const options = "ANALYZE, BUFFERS, COSTS OFF, TIMING OFF"
	return strings.Join(p.run(fmt.Sprintf("EXPLAIN (%s) EXECUTE %s (%s)", options, p.name, p.args)), "\n")
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
	case []string:
		return "'{" + strings.Join(v, ",") + "}'", "text[]"
	case []bool:
		return fmt.Sprintf("'{%v}'", v[0]), "boolean[]"
	case []time.Time:
		return "'{" + strings.Join(column(v, func(t time.Time) string { return t.Format(time.RFC3339Nano) }), ",") + "}'",
			"timestamptz[]"
	case []uuid.UUID:
		return "'{" + strings.Join(column(v, uuid.UUID.String), ",") + "}'", "uuid[]"
	default:
		t.Fatalf("no literal for a %T", v)
		return "", ""
	}
}

func TestPlansHoldForABacklog(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{MaxConns: 1, Timeout: 5 * time.Minute})
	prefix := floorID(time.Now()).String()[:28]
	id := uuid.MustParse(prefix + "00000001")
	if err := s.Maintain(t.Context(), time.Now().Add(-20*week)); err != nil {
		t.Fatal(err)
	}
	ready := prepare(t, s, "ready", readyQuery, "default", int16(0), time.Now(), "", 32, 8, "")
	lesser := prepare(t, s, "lesser", degradableQuery, "default", int16(0), time.Now(), "", 32, 8, "")
	unserved := prepare(t, s, "unserved", unservedQuery, "default", time.Now(), 500)
	unpark := prepare(t, s, "unpark", unparkQuery, time.Now(), 500)
	due := prepare(t, s, "due", unparkQuery, time.Now().Add(24*time.Hour), 500)
	front := prepare(t, s, "front", prospectQuery, id, time.Now(), jobs.MaxAhead)
	back := prepare(t, s, "back", prospectQuery, id, time.Now(), jobs.MaxAhead)
	job := prepare(t, s, "job", selectJob, time.Now(), id, "t0")
	several := prepare(t, s, "several", selectJobs, time.Now(), []uuid.UUID{id})
	find := prepare(t, s, "find", findQuery, []string{"0"}, []string{"t0"}, []bool{true},
		[]time.Time{time.Now().Add(-time.Hour)}, floorID(time.Now().Add(-8*24*time.Hour)))
	lock := prepare(t, s, "lock", lockQuery, []uuid.UUID{id})
	backlog(t, s, prefix, 50_000)
	inFront, behind := inOrder(t, s, "ASC"), inOrder(t, s, "DESC")
	front.args, back.args = strings.Replace(front.args, id.String(), inFront, 1), strings.Replace(back.args, id.String(), behind, 1)

	for _, c := range []struct {
		name      string
		statement prepared
		buffers   int
	}{
		{"ready", ready, 2000}, {"lesser", lesser, 10}, {"unserved", unserved, 10}, {"front", front, 30}, {"back", back, 10_000}, {"unpark", unpark, 10}, {"due", due, 20_000}, {"job", job, 30}, {"several", several, 30}, {"find", find, 30}, {"lock", lock, 10},
	} {
		plan := c.statement.plan()
		// Of releases there is no more than a window.
		if strings.Contains(strings.ReplaceAll(plan, "Seq Scan on releases", ""), "Seq Scan") {
			t.Errorf("%s reads a whole table:\n%s", c.name, plan)
		}
		if n := buffers(t, plan); n > c.buffers {
			t.Errorf("%s read %d buffers of a backlog of 50,000, want at most %d:\n%s", c.name, n, c.buffers, plan)
		}
	}
	if plan := job.plan(); !strings.Contains(plan, "id = $2") {
		t.Errorf("reading a job is planned at each call:\n%s", plan)
	}
	onePartition(t, job.plan(), "jobs")
	onePartition(t, job.plan(), "results")
	onePartition(t, several.plan(), "jobs")
	if strings.Contains(find.plan(), "results_"+longAgo()) {
		t.Errorf("a search for a fresh result looks into a partition that can hold none:\n%s", find.plan())
	}
	got, err := s.Ready(t.Context(), jobs.ReadyQuery{Route: "default", Now: time.Now(), Tenants: 32, PerTenant: 8})
	if err != nil || len(got) != 32*8 {
		t.Fatalf("ready: got %d, %v, want %d", len(got), err, 32*8)
	}
}

// inOrder returns the id of the first of the big tenant's executions in an order.
func inOrder(t *testing.T, s *Store, order string) (id string) {
	t.Helper()
	err := s.pool.QueryRow(t.Context(), `SELECT id::text FROM queue WHERE tenant = 't0' AND parked_until IS NULL
		ORDER BY deadline `+order+` LIMIT 1`).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// longAgo is the date of a week that has a partition and is past the reach of a
// fresh result.
func longAgo() string { return time.Now().Add(-20 * week).UTC().Truncate(week).Format("20060102") }

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

// Whatever a store does, it reads of a backlog what it needs: the plans that it
// keeps were made when the tables were empty, and known to be.
func TestNothingReadsTheBacklog(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{MaxConns: 1, Timeout: 5 * time.Minute})
	prefix := floorID(time.Now()).String()[:28]
	admin := prepared{t: t, s: s}
	for range 7 { // more often than a plan is made anew
		everything(t, s)
	}
	for _, table := range append(partitioned(), "queue", "releases", "live_jobs", "idempotency", "pending_deliveries") {
		admin.run("DELETE FROM " + table)
	}
	admin.run("VACUUM ANALYZE")
	everything(t, s)
	admin.run(`ALTER TABLE queue SET (autovacuum_enabled = off); ALTER TABLE live_jobs SET (autovacuum_enabled = off);
		ALTER TABLE pending_deliveries SET (autovacuum_enabled = off)`)
	everything(t, s)
	backlog(t, s, prefix, 50_000)
	pile(t, s, newEndpoint(t, s, func(e *delivery.Endpoint) { e.Tenant = "other" }), prefix, 50_000)

	before := readRows(t, s)
	everything(t, s)
	for table, n := range readRows(t, s) {
		if read := n - before[table]; read > 2000 {
			t.Errorf("%s: one of everything read %d rows of a backlog of 50,000, want at most 2,000", table, read)
		}
	}
}

// readRows returns how many rows of each table were read so far, partitions
// with their parent.
func readRows(t *testing.T, s *Store) map[string]int {
	t.Helper()
	admin := prepared{t: t, s: s}
	admin.run("SELECT pg_stat_force_next_flush()")
	rows := map[string]int{}
	for _, line := range admin.run(`
		SELECT regexp_replace(relname, '_(2.*|default)$', '') || ' ' || seq_tup_read + coalesce(idx_tup_fetch, 0)
			|| ' ' || coalesce((SELECT sum(idx_tup_read) FROM pg_stat_user_indexes i WHERE i.relid = s.relid), 0)
		FROM pg_stat_user_tables s`) {
		var table string
		var fetched, scanned int
		if _, err := fmt.Sscan(line, &table, &fetched, &scanned); err != nil {
			t.Fatal(err)
		}
		rows[table] += max(fetched, scanned)
	}
	return rows
}

// everything does one of each thing that a store does.
func everything(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	deliver(t, s)
	name := uuid.NewString()
	submit := func(hash string) jobs.Job {
		t.Helper()
		sub := testSubmission(name + hash)
		sub.Request.Route, sub.MaxAge = name, time.Hour
		sub.Idempotency = &jobs.Idempotency{Key: sub.Job.ID.String()}
		got, err := s.Submit(ctx, sub)
		must(got, err)
		again, err := s.Submit(ctx, sub)
		must(again, err)
		return got.Job
	}
	first := submit("a")
	submit("a")
	cancelled, expired, finished, given := submit("cancelled"), submit("b"), submit("c"), submit("d")
	w := jobs.Worker{ID: uuid.New(), Name: "w"}
	must(s.Beat(ctx, w, nil))
	ready, err := s.Ready(ctx, jobs.ReadyQuery{Route: name, Now: time.Now(), Tenants: 10, PerTenant: 10})
	must(ready, err)
	tasks, err := s.Release(ctx, column(ready, func(c jobs.Candidate) jobs.Release {
		return jobs.Release{Execution: c.Execution, Fence: c.Fence, Provider: "sim", Model: "m"}
	}), time.Now())
	must(tasks, err)
	if len(tasks) != 5 {
		t.Fatalf("released %d, want 5", len(tasks))
	}
	must(s.Requeue(ctx, tasks[:1]))
	works := map[uuid.UUID]jobs.Work{}
	for _, task := range tasks[1:] {
		works[task.Execution], err = s.Claim(ctx, jobs.Claim{Task: task, Worker: w.ID, Call: uuid.New(), At: time.Now()})
		must(nil, err)
	}
	must(s.Beat(ctx, w, tasks))
	must(s.Finish(ctx, benchOutcome(works[finished.ExecutionID], []byte(`{}`))))
	must(s.Finish(ctx, benchOutcome(works[finished.ExecutionID], []byte(`{}`))))
	submit("c")
	back := benchOutcome(works[given.ExecutionID], nil)
	must(nil, s.Reschedule(ctx, jobs.Rescheduling{Task: back.Task, Call: back.Call, RunAt: time.Now()}))
	for _, j := range []jobs.Job{first, cancelled, expired} {
		_, _, err := s.Cancel(ctx, j.Tenant, j.ID, time.Now())
		must(nil, err)
	}
	must(s.Request(ctx, "acme", first.ID))
	must(s.Calls(ctx, "acme", first.ID))
	must(s.Events(ctx, "acme", first.ID))
	must(s.Jobs(ctx, jobs.JobQuery{Tenant: "acme", Limit: 10}))
	must(s.Unclaimed(ctx, time.Now(), 10))
	must(s.Outstanding(ctx))
	must(s.Routes(ctx))
	n, _, err := s.Unpark(ctx, time.Now(), 500)
	must(n, err)
	_, err = s.Prospect(ctx, cancelled.ExecutionID, time.Now())
	if !errors.Is(err, jobs.ErrNotFound) {
		t.Fatalf("prospect of what has ended: got %v, want %v", err, jobs.ErrNotFound)
	}
	must(s.Prospect(ctx, submit("e").ExecutionID, time.Now()))
	must(nil, s.SetFlows(ctx, []jobs.Flow{{Tenant: "acme", Route: name}}, time.Now()))
	must(s.GiveUp(ctx, jobs.Unserved{Route: name, At: time.Now(), Limit: 500}))
	must(s.Expire(ctx, time.Now(), 100))
	must(s.Settle(ctx))
	must(nil, s.Delete(ctx, "acme", cancelled.ID))
	must(s.Workers(ctx))
	must(nil, s.Retire(ctx, w.ID))
	must(s.Job(ctx, "acme", first.ID))
}
