package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

// outcomesQuery lists live lines whose jobs have ended, or are gone.
const outcomesQuery = `
	SELECT l.n, l.state, j.status, j.error_code, j.deduplicated OR j.cached,
		j.input_tokens, j.output_tokens, j.cached_tokens, j.reasoning_tokens, (j.cost_usd * 1000000000)::bigint, j.finished_at
	FROM (SELECT l.n, l.state, l.job_id FROM batch_lines l WHERE l.live_of = $1 ORDER BY l.n OFFSET 0) l
	LEFT JOIN LATERAL (SELECT * FROM jobs j WHERE j.id = l.job_id OFFSET 0) j ON true
	WHERE j.status IS DISTINCT FROM 'queued'
	LIMIT $2`

func scanOutcome(rows pgx.Rows) (batches.Outcome, error) {
	var o batches.Outcome
	var status *jobs.Status
	var code *string
	var shared *bool
	var u usage
	var cost *int64
	var at *time.Time
	err := rows.Scan(&o.N, &o.Was, &status, &code, &shared, &u.input, &u.output, &u.cached, &u.reasoning, &cost, &at)
	o.Shared, o.Usage, o.CostUSD, o.At = orZero(shared), u.tokens(), jobs.USD(orZero(cost)), orZero(at)
	o.Become(orZero(status), orZero(code))
	return o, err
}

// CollectLines notes what became of lines: see [batches.KeeperStore].
func (s *Store) CollectLines(
	ctx context.Context, holder, batch uuid.UUID, rate float64, limit int,
) (b batches.Batch, n int, err error) {
	err = s.write(ctx, "collect lines", func(ctx context.Context, t *txn) error {
		var list []batches.Outcome
		var seq int64
		b, err = lockHeldBatch(ctx, t, holder, batch, func() {
			lastSeq(t, batch, &seq)
			t.each(func(rows pgx.Rows) error {
				o, err := scanOutcome(rows)
				list = append(list, o)
				return err
			}, outcomesQuery, batch, limit)
		})
		if n = len(list); err != nil || n == 0 && b.Rate == rate {
			return err
		}
		b.Rate = rate
		endLines(t, &b, list, seq)
		return nil
	})
	return b, n, err
}

// lastSeq queues the reading of the last place that a line of the batch was given.
func lastSeq(t *txn, batch uuid.UUID, seq *int64) {
	t.each(func(rows pgx.Rows) error { return rows.Scan(seq) }, `SELECT seq FROM batches WHERE id = $1`, batch)
}

// EndLines ends pending lines: see [batches.KeeperStore].
func (s *Store) EndLines(
	ctx context.Context, holder, batch uuid.UUID, as batches.State, code string, only []int, limit int,
) (n int, err error) {
	const pending = `SELECT l.n FROM batch_lines l WHERE l.pending_of = $1 AND ($3 OR l.n = ANY ($4::integer[])) ORDER BY l.n LIMIT $2`
	err = s.write(ctx, "end lines", func(ctx context.Context, t *txn) error {
		var list []batches.Outcome
		var seq int64
		b, err := lockHeldBatch(ctx, t, holder, batch, func() {
			lastSeq(t, batch, &seq)
			t.each(func(rows pgx.Rows) error {
				o := batches.Outcome{Was: batches.LinePending, Now: as, Code: code}
				err := rows.Scan(&o.N)
				list = append(list, o)
				return err
			}, pending, batch, limit, only == nil, only)
		})
		if n = len(list); err != nil || n == 0 {
			return err
		}
		endLines(t, &b, list, seq)
		return nil
	})
	return n, err
}

// endLines queues what lines become, and counts it in the batch. seq is the last that a
// line was given.
func endLines(t *txn, b *batches.Batch, list []batches.Outcome, seq int64) {
	seq = batches.Take(b, list, seq)
	for some := range slices.Chunk(list, linesAtOnce) {
		writeOutcomes(t, b.ID, some)
	}
	u := usageOfCall(jobs.Call{Usage: b.Usage})
	t.exec(`
		UPDATE batches SET pending = $2, live = $3, succeeded = $4, failed = $5, cancelled = $6, expired = $7,
			deduplicated = $8, input_tokens = $9, output_tokens = $10, cached_tokens = $11, reasoning_tokens = $12,
			cost_usd = $13::bigint * 0.000000001, rate = $14, seq = $15
		WHERE id = $1`,
		b.ID, b.Counts.Pending, b.Counts.Live, b.Counts.Succeeded, b.Counts.Failed, b.Counts.Cancelled, b.Counts.Expired,
		b.Counts.Deduplicated, u.input, u.output, u.cached, u.reasoning, int64(b.CostUSD), b.Rate, seq)
}

// writeOutcomes queues what lines become. One that is pending again is so as its next
// attempt.
func writeOutcomes(t *txn, batch uuid.UUID, some []batches.Outcome) {
	const write = `
		UPDATE batch_lines l SET state = v.state, code = v.code, seq = v.seq,
			attempt = CASE v.state WHEN 'pending' THEN l.attempt + 1 ELSE l.attempt END,
			job_id = CASE v.state WHEN 'pending' THEN NULL ELSE l.job_id END
		FROM unnest($2::integer[], $3::text[], $4::text[], $5::bigint[]) AS v (n, state, code, seq)
		WHERE l.batch_id = $1 AND l.n = v.n AND l.n = ANY ($2)`
	t.exec(write, batch, column(some, func(o batches.Outcome) int { return o.N }),
		column(some, func(o batches.Outcome) string { return string(o.Now) }),
		column(some, func(o batches.Outcome) *string { return orNull(o.Code) }),
		column(some, func(o batches.Outcome) *int64 { return orNull(o.Seq) }))
}
