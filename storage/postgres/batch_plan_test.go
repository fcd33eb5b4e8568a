package postgres

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
)

// heap keeps a batch that is held, behind the store's back. Of its n lines two in five
// have ended, every tenth of those without an answer, up to window are live, and the others
// are pending.
func heap(t *testing.T, s *Store, n int) uuid.UUID {
	t.Helper()
	const window = 2000
	const batch = `
		INSERT INTO batches (id, tenant, endpoint, input_file, output_file, error_file, status, policy, time_window,
			output_ttl_us, created_at, deadline, started_at, fingerprint, holder, held_until, seq)
		VALUES ($1, 'acme', '', $1, $1, $1, 'in_progress', '{}', '', 0, now(), now(), now(), '', $1, 'infinity', $2)`
	const lines = `
		INSERT INTO batch_lines (batch_id, n, custom_id, at_byte, length, hash, repeats, state, job_id, code, seq)
		SELECT $1, n, 'request-' || n, n * 100, 99, sha256(n::text::bytea), false,
			CASE WHEN n > k.live THEN 'pending' WHEN n > k.ended THEN 'live' WHEN n % 10 = 0 THEN 'failed' ELSE 'succeeded' END,
			CASE WHEN n <= k.live THEN $5::uuid END, CASE WHEN n <= k.ended AND n % 10 = 0 THEN 'server_error' END,
			CASE WHEN n <= k.ended THEN k.ended - n + 1 END
		FROM generate_series(1, $2::integer) AS n, (SELECT $3::integer AS ended, $4::integer AS live) AS k`
	id := uuid.Must(uuid.NewV7())
	ended := n * 2 / 5
	live := submitTo(t, s, id)
	if _, err := s.pool.Exec(t.Context(), batch, id, ended); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pool.Exec(t.Context(), lines, id, n, ended, ended+window, live.ID); err != nil {
		t.Fatal(err)
	}
	return id
}

// submitTo submits a job of a batch.
func submitTo(t *testing.T, s *Store, batch uuid.UUID) jobs.Job {
	t.Helper()
	sub := testSubmission(uuid.NewString())
	sub.Job.Batch = batch
	done, err := s.Submit(t.Context(), sub)
	if err != nil {
		t.Fatal(err)
	}
	return done.Job
}

// However many lines a batch has, and others have, what is asked of it costs what is
// returned, or its window.
func TestPlansHoldForAHeapOfLines(t *testing.T) {
	t.Parallel()
	const many, others = 20_000, 3
	s := openStore(t, Config{MaxConns: 1, Timeout: 5 * time.Minute})
	id, holder := uuid.New(), uuid.New()
	text := []string{"succeeded", "failed", "cancelled", "expired"}
	jobsOf, args, err := listQuery(jobs.JobQuery{Tenant: "acme", Batch: id, Limit: 100}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	checks := []struct {
		statement prepared
		buffers   int
	}{
		{prepare(t, s, "lines", linesQuery, id, 500, 100), 20},
		{prepare(t, s, "pending", pendingQuery, id, 64), 20},
		{prepare(t, s, "live", liveQuery, id, 0, 100), 20},
		{prepare(t, s, "outcomes", outcomesQuery, id, 1000), 12_000},
		{prepare(t, s, "answers", answersInOrder, id, 100, 500, text), 800},
		{prepare(t, s, "unanswered", answersUnanswered, id, 100, 500, text[1:]), 1000},
		{prepare(t, s, "finished", answersAsFinished, id, 100, 500, text), 800},
		{prepare(t, s, "causes", causesQuery, id, 10), 1000},
		{prepare(t, s, "lease", leaseBatches, holder, 10, 1), 20},
		{prepare(t, s, "renew", renewBatches, holder, []uuid.UUID{id}, 1), 20},
		{prepare(t, s, "jobs", jobsOf, args...), 30},
	}
	for range others {
		heap(t, s, many)
	}
	mine := heap(t, s, many)
	for _, c := range checks {
		c.statement.args = strings.ReplaceAll(c.statement.args, id.String(), mine.String())
		plan := c.statement.plan()
		if n := buffers(t, plan); n > c.buffers || strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s read %d buffers of %d lines, want at most %d:\n%s", c.statement.name, n, many, c.buffers, plan)
		}
	}
}

// Whatever is done with a batch, it reads what it needs of the lines of others: the plans
// that are kept were made when there were none, and that was known.
func TestNothingReadsTheHeap(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{MaxConns: 1, Timeout: 5 * time.Minute})
	admin := prepared{t: t, s: s}
	for range 7 { // more often than a plan is made anew
		runBatch(t, s)
	}
	admin.run("DELETE FROM batch_lines")
	admin.run("VACUUM ANALYZE batch_lines")
	admin.run("ALTER TABLE batch_lines SET (autovacuum_enabled = off)")
	runBatch(t, s)
	heap(t, s, 20_000)

	before := readRows(t, s)
	runBatch(t, s)
	for table, n := range readRows(t, s) {
		if read := n - before[table]; read > 500 {
			t.Errorf("%s: one of everything read %d rows of a batch of 20,000 lines, want at most 500", table, read)
		}
	}
}

// runBatch does one of each thing that is done with batches.
func runBatch(t *testing.T, s *Store) {
	t.Helper()
	ctx, now, holder := t.Context(), time.Now(), uuid.New()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	newID := func() uuid.UUID { return uuid.Must(uuid.NewV7()) }
	input := files.File{ID: newID(), Tenant: "acme", Purpose: files.PurposeBatch, Status: files.StatusUploaded, CreatedAt: now}
	must(nil, s.CreateFile(ctx, input))
	b := batches.Batch{
		ID: newID(), Tenant: "acme", Input: input.ID, Output: newID(), Errors: newID(), CreatedAt: now, Deadline: now.Add(time.Hour),
	}
	for range 2 {
		_, _, err := s.CreateBatch(ctx, b, batches.Repeat{Key: b.ID.String(), Within: time.Hour})
		must(nil, err)
	}
	must(s.LeaseBatches(ctx, holder, 10))
	lines := make([]batches.Line, 10)
	for i := range lines {
		lines[i].N = i + 1
	}
	must(nil, s.AppendLines(ctx, holder, b.ID, batches.Cursor{}, batches.Cursor{Lines: 10}, lines))
	must(s.Lines(ctx, b.ID, 0, 10))
	must(s.BeginBatch(ctx, holder, b.ID, now))
	must(s.PendingLines(ctx, b.ID, 10))
	var started []batches.Started
	for i := range 5 {
		started = append(started, batches.Started{N: i + 1, Job: submitTo(t, s, b.ID).ID})
	}
	must(nil, s.StartLines(ctx, holder, b.ID, started))
	must(nil, s.WithdrawLines(ctx, holder, b.ID, []int{5}))
	for _, l := range started {
		_, _, err := s.Cancel(ctx, "acme", l.Job, now)
		must(nil, err)
	}
	must(s.RenewBatches(ctx, holder, []uuid.UUID{b.ID}))
	must(s.LiveLines(ctx, b.ID, 0, 10))
	_, _, err := s.CollectLines(ctx, holder, b.ID, 1, 10)
	must(nil, err)
	must(s.EndLines(ctx, holder, b.ID, batches.LineExpired, batches.CodeBatchExpired, []int{7}, 10))
	must(s.EndLines(ctx, holder, b.ID, batches.LineExpired, batches.CodeBatchExpired, nil, 10))
	must(nil, s.FinalizeBatch(ctx, holder, b.ID, now))
	must(nil, s.EndBatch(ctx, holder, b.ID, batches.StatusCompleted, now, nil))
	must(s.Batch(ctx, "acme", b.ID))
	must(s.Batches(ctx, batches.Query{Tenant: "acme", Limit: 10}))
	must(s.Causes(ctx, "acme", b.ID, 10))
	must(s.Jobs(ctx, jobs.JobQuery{Tenant: "acme", Batch: b.ID, Limit: 10}))
	for _, finished := range []bool{true, false} {
		must(s.Answers(ctx, batches.AnswerQuery{Tenant: "acme", Batch: b.ID, AsFinished: finished, Limit: 10}))
	}
	_, _, err = s.RetryBatch(ctx, "acme", b.ID, now, now.Add(time.Hour))
	must(nil, err)
	must(s.LeaseBatches(ctx, holder, 10))
	must(s.CancelBatch(ctx, "acme", b.ID, now))
	must(s.EndLines(ctx, holder, b.ID, batches.LineCancelled, batches.CodeBatchCancelled, nil, 20))
	must(nil, s.EndBatch(ctx, holder, b.ID, batches.StatusCancelled, now, nil))
	must(nil, s.DeleteBatch(ctx, "acme", b.ID))
	must(nil, s.removeRest(ctx))
}
