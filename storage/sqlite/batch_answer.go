package sqlite

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

// Answers reads lines with what came of them.
const (
	selectAnswer = `
		SELECT ` + lineColumns + `, j.id IS NOT NULL, coalesce(j.dropped_at, 0), coalesce(j.provider, ''), coalesce(j.finished_at, 0),
			coalesce(j.answer_of, j.execution_id), res.body, coalesce(res.error_message, j.error_message, ''),
			res.input_tokens, res.output_tokens, res.cached_tokens, res.reasoning_tokens
		FROM batch_lines l `
	joinAnswer = `
		LEFT JOIN jobs j ON j.id = l.job_id
		LEFT JOIN results res ON j.status IN ('succeeded', 'failed') AND res.execution_id = coalesce(j.answer_of, j.execution_id)
		WHERE l.batch_id = ? AND `
	inOrder    = `l.n > ? ORDER BY l.n LIMIT +?`
	asFinished = `l.seq > ? AND l.seq > 0 ORDER BY l.seq LIMIT +?`
)

// Answers lists lines that have ended: see [batches.BatchStore].
func (s *Store) Answers(ctx context.Context, query batches.AnswerQuery) ([]batches.Answer, error) {
	return read(ctx, s, "list answers", func(ctx context.Context, q *statements) ([]batches.Answer, error) {
		if err := batchExists(ctx, q, query.Tenant, query.Batch); err != nil {
			return nil, err
		}
		text, ok := answersQuery(query)
		if !ok {
			return nil, nil
		}
		return all(ctx, q, scanAnswer, text, id(query.Batch), query.After, query.Limit)
	})
}

// answersQuery returns the statement for an order and for lines of some states, false if
// none of those has ended. It reads the smallest index that has such lines.
func answersQuery(q batches.AnswerQuery) (text string, ok bool) {
	var states []string
	answered := false
	for _, s := range []batches.State{
		batches.LineSucceeded, batches.LineFailed, batches.LineCancelled, batches.LineExpired,
	} {
		if len(q.States) == 0 || slices.Contains(q.States, s) {
			states = append(states, `'`+string(s)+`'`)
			answered = answered || s == batches.LineSucceeded
		}
	}
	wanted := `l.state IN (` + strings.Join(states, ", ") + `) AND `
	switch {
	case q.AsFinished:
		text = selectAnswer + `INDEXED BY batch_lines_ended` + joinAnswer + wanted + asFinished
	case answered:
		text = selectAnswer + joinAnswer + wanted + inOrder
	default:
		text = selectAnswer + `INDEXED BY batch_lines_unanswered` + joinAnswer + wanted + unanswered + ` AND ` + inOrder
	}
	return text, len(states) > 0
}

// unanswered are the lines of the index of that name.
const unanswered = `l.state IN ('failed', 'cancelled', 'expired')`

func scanAnswer(row scanner) (batches.Answer, error) {
	var a batches.Answer
	var there bool
	var dropped, finished int64
	var execution, result []byte
	var tokens usage
	var err error
	a.Line, err = scanLineAnd(row, &there, &dropped, &a.Provider, &finished, &execution, &result, &a.Message,
		&tokens.input, &tokens.output, &tokens.cached, &tokens.reasoning)
	if err != nil {
		return batches.Answer{}, err
	}
	copy(a.Execution[:], execution)
	a.FinishedAt, a.Usage = when(finished), tokens.tokens()
	if len(result) > 0 && a.State == batches.LineSucceeded {
		a.Result = result
	}
	switch {
	case a.Job != uuid.Nil && !there:
		a.Forget(batches.ErrJobGone)
	case dropped != 0:
		a.Forget(jobs.ErrDropped(when(dropped)))
	}
	return a, nil
}

// Causes groups lines that have ended without an answer: see [batches.BatchStore].
func (s *Store) Causes(ctx context.Context, tenant string, batch uuid.UUID, limit int) ([]batches.Cause, error) {
	return read(ctx, s, "group causes", func(ctx context.Context, q *statements) ([]batches.Cause, error) {
		if err := batchExists(ctx, q, tenant, batch); err != nil {
			return nil, err
		}
		return all(ctx, q, func(row scanner) (c batches.Cause, err error) {
			return c, row.Scan(&c.Code, &c.Count, &c.Line)
		}, `
			SELECT l.code, count(*) AS lines, min(l.n) AS first FROM batch_lines l INDEXED BY batch_lines_unanswered
			WHERE l.batch_id = ? AND `+unanswered+` GROUP BY l.code ORDER BY lines DESC, first LIMIT +?`, id(batch), limit)
	})
}

// batchExists fails with [jobs.ErrNotFound] unless the tenant has the batch.
func batchExists(ctx context.Context, q *statements, tenant string, batch uuid.UUID) error {
	ok, err := exists(ctx, q, `SELECT 1 FROM batches WHERE id = ? AND tenant = ?`, id(batch), tenant)
	if err == nil && !ok {
		return jobs.ErrNotFound
	}
	return err
}
