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

// Answers reads lines, $2 of a batch's after $3 that are in one of the states $4, with what
// came of them.
const (
	answersHead = `
		SELECT ` + lineColumns + `, j.id IS NOT NULL, j.dropped_at, j.provider, j.finished_at, coalesce(j.answer_of, j.execution_id),
			res.body, j.error_message, j.input_tokens, j.output_tokens, j.cached_tokens, j.reasoning_tokens
		FROM (SELECT * FROM batch_lines l WHERE `
	answersTail = ` LIMIT $2) l
		LEFT JOIN LATERAL (SELECT * FROM jobs j WHERE j.id = l.job_id OFFSET 0) j ON true` + resultTable

	answersInOrder    = answersHead + `l.batch_id = $1 AND l.n > $3 AND l.state = ANY ($4::text[]) ORDER BY l.n` + answersTail
	answersUnanswered = answersHead + `l.unanswered_of = $1 AND l.n > $3 AND l.state = ANY ($4::text[]) ORDER BY l.n` + answersTail
	answersAsFinished = answersHead + `l.ended_of = $1 AND l.seq > $3 AND l.state = ANY ($4::text[]) ORDER BY l.seq` + answersTail
)

// answersQuery reads the smallest index that has the lines.
func answersQuery(q batches.AnswerQuery) (sql string, states []string) {
	answered := false
	for _, s := range []batches.State{
		batches.LineSucceeded, batches.LineFailed, batches.LineCancelled, batches.LineExpired,
	} {
		if len(q.States) == 0 || slices.Contains(q.States, s) {
			states = append(states, string(s))
			answered = answered || s == batches.LineSucceeded
		}
	}
	switch {
	case q.AsFinished:
		return answersAsFinished, states
	case answered:
		return answersInOrder, states
	default:
		return answersUnanswered, states
	}
}

// Answers lists lines that have ended: see [batches.BatchStore].
func (s *Store) Answers(ctx context.Context, q batches.AnswerQuery) (list []batches.Answer, err error) {
	sql, states := answersQuery(q)
	err = s.bounded(ctx, "list answers", func(ctx context.Context) error {
		if err := s.batchExists(ctx, q.Tenant, q.Batch); err != nil {
			return err
		}
		rows, err := s.pool.Query(ctx, sql, q.Batch, q.Limit, q.After, states)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, scanAnswer)
		return err
	})
	return list, err
}

func scanAnswer(row pgx.CollectableRow) (batches.Answer, error) {
	var a batches.Answer
	var there bool
	var dropped, finished *time.Time
	var provider, message *string
	var execution *uuid.UUID
	var result []byte
	var u usage
	var err error
	a.Line, err = scanLineAnd(row, &there, &dropped, &provider, &finished, &execution, &result, &message,
		&u.input, &u.output, &u.cached, &u.reasoning)
	if err != nil {
		return batches.Answer{}, err
	}
	a.Provider, a.FinishedAt, a.Execution, a.Message = orZero(provider), orZero(finished), orZero(execution), orZero(message)
	a.Result, a.Usage = result, u.tokens()
	switch {
	case a.Job != uuid.Nil && !there:
		a.Forget(batches.ErrJobGone)
	case dropped != nil:
		a.Forget(jobs.ErrDropped(*dropped))
	}
	return a, nil
}

const causesQuery = `
	SELECT l.code, count(*) AS lines, min(l.n) AS first FROM batch_lines l WHERE l.unanswered_of = $1
	GROUP BY l.code ORDER BY lines DESC, first LIMIT $2`

// Causes groups lines that have ended without an answer: see [batches.BatchStore].
func (s *Store) Causes(ctx context.Context, tenant string, batch uuid.UUID, limit int) (list []batches.Cause, err error) {
	err = s.bounded(ctx, "group causes", func(ctx context.Context) error {
		if err := s.batchExists(ctx, tenant, batch); err != nil {
			return err
		}
		rows, err := s.pool.Query(ctx, causesQuery, batch, limit)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c batches.Cause, err error) {
			return c, row.Scan(&c.Code, &c.Count, &c.Line)
		})
		return err
	})
	return list, err
}

// batchExists fails with [jobs.ErrNotFound] unless the tenant has the batch.
func (s *Store) batchExists(ctx context.Context, tenant string, id uuid.UUID) error {
	var one int
	return notFound(s.pool.QueryRow(ctx, `SELECT 1 FROM batches WHERE id = $1 AND tenant = $2`, id, tenant).Scan(&one))
}
