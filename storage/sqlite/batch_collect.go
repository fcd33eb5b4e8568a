package sqlite

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

// outcomes lists live lines whose jobs have ended, or are gone.
const outcomes = `
	SELECT l.n, l.state, coalesce(j.status, ''), coalesce(res.error_code, j.error_code, ''),
		coalesce(j.deduplicated OR j.cached, 0), res.input_tokens, res.output_tokens, res.cached_tokens, res.reasoning_tokens,
		coalesce(j.cost_usd, 0), coalesce(j.finished_at, 0)
	FROM batch_lines l INDEXED BY batch_lines_live
	LEFT JOIN jobs j ON j.id = l.job_id
	LEFT JOIN results res ON j.status IN ('succeeded', 'failed') AND res.execution_id = coalesce(j.answer_of, j.execution_id)
	WHERE l.batch_id = ? AND l.state IN ('live', 'withdrawn') AND coalesce(j.status, '') <> 'queued'
	ORDER BY l.n LIMIT +?`

func outcomesOf(ctx context.Context, q *statements, batch uuid.UUID, limit int) ([]batches.Outcome, error) {
	return all(ctx, q, func(row scanner) (o batches.Outcome, err error) {
		var status jobs.Status
		var code string
		var tokens usage
		var at int64
		err = row.Scan(&o.N, &o.Was, &status, &code, &o.Shared,
			&tokens.input, &tokens.output, &tokens.cached, &tokens.reasoning, &o.CostUSD, &at)
		o.Usage, o.At = tokens.tokens(), when(at)
		o.Become(status, code)
		return o, err
	}, outcomes, id(batch), limit)
}

// CollectLines notes what became of lines: see [batches.KeeperStore]. Most looks find
// nothing new: those do not wait for the one writer.
func (s *Store) CollectLines(
	ctx context.Context, holder, batch uuid.UUID, rate float64, limit int,
) (batches.Batch, int, error) {
	look, err := read(ctx, s, "look for lines to collect", func(ctx context.Context, q *statements) (collected, error) {
		b, err := heldBatch(ctx, q, holder, batch)
		if err != nil {
			return collected{}, err
		}
		list, err := outcomesOf(ctx, q, batch, 1)
		return collected{batch: b, lines: len(list)}, err
	})
	if err != nil || look.lines == 0 && look.batch.Rate == rate {
		return look.batch, 0, err
	}
	c, err := change(ctx, s, "collect lines", func(ctx context.Context, t *statements) (collected, error) {
		b, err := heldBatch(ctx, t, holder, batch)
		if err != nil {
			return collected{}, err
		}
		list, err := outcomesOf(ctx, t, batch, limit)
		if err != nil {
			return collected{}, err
		}
		b.Rate = rate
		return collected{batch: b, lines: len(list)}, endLines(ctx, t, &b, list)
	})
	return c.batch, c.lines, err
}

// collected is what became of a collection.
type collected struct {
	batch batches.Batch
	lines int
}

// EndLines ends pending lines: see [batches.KeeperStore].
func (s *Store) EndLines(
	ctx context.Context, holder, batch uuid.UUID, as batches.State, code string, only []int, limit int,
) (int, error) {
	return change(ctx, s, "end lines", func(ctx context.Context, t *statements) (int, error) {
		b, err := heldBatch(ctx, t, holder, batch)
		if err != nil {
			return 0, err
		}
		ns, err := pendingAmong(ctx, t, batch, only, limit)
		if err != nil {
			return 0, err
		}
		list := make([]batches.Outcome, len(ns))
		for i, n := range ns {
			list[i] = batches.Outcome{N: n, Was: batches.LinePending, Now: as, Code: code}
		}
		return len(list), endLines(ctx, t, &b, list)
	})
}

// pendingAmong returns which of the lines are pending; nil: of all, the first.
func pendingAmong(ctx context.Context, t *statements, batch uuid.UUID, only []int, limit int) ([]int, error) {
	if only == nil {
		return all(ctx, t, scanNumber, `
			SELECT l.n FROM batch_lines l INDEXED BY batch_lines_pending WHERE l.batch_id = ? AND l.state = 'pending'
			ORDER BY l.n LIMIT +?`, id(batch), limit)
	}
	var pending []int
	for _, n := range only {
		ok, err := exists(ctx, t, `SELECT 1 FROM batch_lines l WHERE l.batch_id = ? AND l.n = ? AND l.state = 'pending'`,
			id(batch), n)
		if err != nil {
			return nil, err
		}
		if ok && len(pending) < limit && !slices.Contains(pending, n) {
			pending = append(pending, n)
		}
	}
	return pending, nil
}

func scanNumber(row scanner) (n int, err error) { return n, row.Scan(&n) }

// endLines writes what lines become, and counts it in the batch.
func endLines(ctx context.Context, t *statements, b *batches.Batch, list []batches.Outcome) error {
	var seq int64
	if err := t.row(ctx, `SELECT seq FROM batches WHERE id = ?`, id(b.ID)).Scan(&seq); err != nil {
		return err
	}
	seq = batches.Take(b, list, seq)
	for _, o := range list {
		if err := writeOutcome(ctx, t, b.ID, o); err != nil {
			return err
		}
	}
	c, tokens := b.Counts, usageOf(b.Usage)
	_, err := t.exec(ctx, `
		UPDATE batches SET pending = ?, live = ?, succeeded = ?, failed = ?, cancelled = ?, expired = ?, deduplicated = ?,
			input_tokens = ?, output_tokens = ?, cached_tokens = ?, reasoning_tokens = ?, cost_usd = ?, rate = ?, seq = ?
		WHERE id = ?`,
		c.Pending, c.Live, c.Succeeded, c.Failed, c.Cancelled, c.Expired, c.Deduplicated,
		tokens.input, tokens.output, tokens.cached, tokens.reasoning, int64(b.CostUSD), b.Rate, seq, id(b.ID))
	return err
}

// writeOutcome writes what a line becomes. One that is pending again is so as its next
// attempt.
func writeOutcome(ctx context.Context, t *statements, batch uuid.UUID, o batches.Outcome) error {
	statement := `UPDATE batch_lines SET state = ?, code = ?, seq = ? WHERE batch_id = ? AND n = ?`
	if o.Now == batches.LinePending {
		statement = `
			UPDATE batch_lines SET state = ?, code = ?, seq = ?, attempt = attempt + 1, job_id = NULL
			WHERE batch_id = ? AND n = ?`
	}
	_, err := t.exec(ctx, statement, string(o.Now), o.Code, o.Seq, id(batch), o.N)
	return err
}
