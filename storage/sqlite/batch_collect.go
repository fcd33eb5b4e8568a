package sqlite

import (
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

// outcome is what became of a line that was in a state.
type outcome struct {
	n     int
	state batches.State
	// status is that of its job, empty when that is gone.
	status jobs.Status
	code   string
	shared bool
	usage  usage
	cost   int64
	// at is in microseconds.
	at int64
}

// becomes returns what the line is then, and why it has no answer.
func (o outcome) becomes() (batches.State, string) {
	switch {
	case o.status == "":
		return batches.LineFailed, string(jobs.CodeNotFound)
	case o.state == batches.LineWithdrawn && o.status == jobs.StatusCancelled:
		return batches.LinePending, ""
	case o.status == jobs.StatusSucceeded:
		return batches.LineSucceeded, ""
	default:
		return batches.State(o.status), o.code
	}
}

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

func outcomesOf(ctx context.Context, q *statements, batch uuid.UUID, limit int) ([]outcome, error) {
	list, err := all(ctx, q, func(row scanner) (o outcome, err error) {
		return o, row.Scan(&o.n, &o.state, &o.status, &o.code, &o.shared,
			&o.usage.input, &o.usage.output, &o.usage.cached, &o.usage.reasoning, &o.cost, &o.at)
	}, outcomes, id(batch), limit)
	slices.SortStableFunc(list, func(a, b outcome) int { return cmp.Compare(a.at, b.at) })
	return list, err
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
		list := make([]outcome, len(ns))
		for i, n := range ns {
			list[i] = outcome{n: n, state: batches.LinePending, status: jobs.Status(as), code: code}
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

// endLines writes what lines become, in their order, and counts it.
func endLines(ctx context.Context, t *statements, b *batches.Batch, list []outcome) error {
	var seq int64
	if err := t.row(ctx, `SELECT seq FROM batches WHERE id = ?`, id(b.ID)).Scan(&seq); err != nil {
		return err
	}
	for _, o := range list {
		state, code := o.becomes()
		var err error
		if state == batches.LinePending {
			_, err = t.exec(ctx, `
				UPDATE batch_lines SET state = 'pending', attempt = attempt + 1, job_id = NULL WHERE batch_id = ? AND n = ?`,
				id(b.ID), o.n)
		} else {
			seq++
			_, err = t.exec(ctx, `UPDATE batch_lines SET state = ?, code = ?, seq = ? WHERE batch_id = ? AND n = ?`,
				string(state), code, seq, id(b.ID), o.n)
		}
		if err != nil {
			return err
		}
		o.count(b, state)
	}
	tokens := usageOf(b.Usage)
	_, err := t.exec(ctx, `
		UPDATE batches SET pending = ?, live = ?, succeeded = ?, failed = ?, cancelled = ?, expired = ?, deduplicated = ?,
			input_tokens = ?, output_tokens = ?, cached_tokens = ?, reasoning_tokens = ?, cost_usd = ?, rate = ?, seq = ?
		WHERE id = ?`,
		b.Counts.Pending, b.Counts.Live, b.Counts.Succeeded, b.Counts.Failed, b.Counts.Cancelled, b.Counts.Expired,
		b.Counts.Deduplicated, tokens.input, tokens.output, tokens.cached, tokens.reasoning, int64(b.CostUSD), b.Rate, seq,
		id(b.ID))
	return err
}

// count notes in the batch that the line has become so.
func (o outcome) count(b *batches.Batch, state batches.State) {
	*countOf(&b.Counts, o.state)--
	*countOf(&b.Counts, state)++
	if state == batches.LineSucceeded && o.shared {
		b.Counts.Deduplicated++
	}
	b.CostUSD += jobs.USD(o.cost)
	if u := o.usage.tokens(); u.Known {
		b.Usage.Known = true
		b.Usage.InputTokens += u.InputTokens
		b.Usage.OutputTokens += u.OutputTokens
		b.Usage.CachedTokens += u.CachedTokens
		b.Usage.ReasoningTokens += u.ReasoningTokens
	}
}

// countOf returns the count that a line of a state is in.
func countOf(c *batches.Counts, state batches.State) *int {
	switch state {
	case batches.LinePending:
		return &c.Pending
	case batches.LineSucceeded:
		return &c.Succeeded
	case batches.LineFailed:
		return &c.Failed
	case batches.LineCancelled:
		return &c.Cancelled
	case batches.LineExpired:
		return &c.Expired
	default: // live, or withdrawn
		return &c.Live
	}
}
