package postgres

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// Settle continues what a Finish or a Reclaim left: see [jobs.ControlStore].
func (s *Store) Settle(ctx context.Context) ([]uuid.UUID, error) {
	var left []uuid.UUID
	err := s.bounded(ctx, "list what is left to settle", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, `SELECT id FROM queue WHERE settling ORDER BY id`)
		if err != nil {
			return err
		}
		left, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	if err != nil {
		return nil, err
	}
	var ended []uuid.UUID
	var failed error // one that cannot be settled is no reason to leave the others
	for _, execution := range left {
		more, err := s.settleRest(ctx, execution)
		ended = append(ended, more...)
		failed = errors.Join(failed, err)
		if isDown(err) {
			break
		}
	}
	return ended, failed
}

// afterChunk is where a process may die between two transactions.
func (s *Store) afterChunk(first bool) error {
	if first {
		return s.interrupt
	}
	return nil
}

// settleRest ends the jobs of an execution whose result is there, a chunk in
// each transaction. It returns those that it ended; others may do so too.
func (s *Store) settleRest(ctx context.Context, execution uuid.UUID) ([]uuid.UUID, error) {
	var ended []uuid.UUID
	for {
		var some []uuid.UUID
		var more bool
		err := s.write(ctx, "settle", func(ctx context.Context, t *txn) (err error) {
			some, more, err = s.settleChunk(ctx, t, execution)
			return err
		})
		if err != nil {
			return ended, err
		}
		ended = append(ended, some...)
		if !more {
			return ended, nil
		}
	}
}

func (s *Store) settleChunk(ctx context.Context, t *txn, id uuid.UUID) (ended []uuid.UUID, more bool, err error) {
	states, err := s.lockStates(ctx, t, []uuid.UUID{id})
	if err != nil {
		return nil, false, err
	}
	state := states[id]
	if state == nil || !state.settling {
		return nil, false, nil
	}
	e, err := readEnding(ctx, t, state)
	if err != nil {
		return nil, false, err
	}
	if err := endJobs(ctx, t, e.ends()); err != nil {
		return nil, false, err
	}
	leaveQueue(t, []*ending{e})
	return e.jobIDs(), e.more, nil
}

// readEnding returns the ending that the execution's result tells of.
func readEnding(ctx context.Context, t *txn, state *executionState) (*ending, error) {
	const query = `
		SELECT fence, status, body, error_code, error_message, finished_at, provider, model, tries,
			degraded, input_tokens, output_tokens, cached_tokens, reasoning_tokens
		FROM results WHERE execution_id = $1`
	var found *ending
	t.each(func(rows pgx.Rows) error {
		e := &ending{executionState: state}
		var code, message *string
		var body []byte
		err := rows.Scan(append([]any{
			&e.by, &e.status, &body, &code, &message, &e.at, &e.provider, &e.model, &e.allTries, &e.degraded,
		}, e.usage.into()...)...)
		if err != nil {
			return err
		}
		e.body = json.RawMessage(body)
		if code != nil {
			e.err = &jobs.JobError{Code: *code, Message: orZero(message)}
		}
		found = e
		return nil
	}, query, state.id)
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	if found == nil {
		return nil, errors.New("an execution is settling and has no result")
	}
	return found, nil
}
