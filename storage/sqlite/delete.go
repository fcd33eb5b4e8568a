package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Delete removes a terminal job: see [jobs.SubmitStore].
func (s *Store) Delete(ctx context.Context, tenant string, jobID uuid.UUID) error {
	_, err := change(ctx, s, "delete a job", func(ctx context.Context, t *statements) (struct{}, error) {
		return struct{}{}, deleteJob(ctx, t, tenant, jobID)
	})
	return err
}

func deleteJob(ctx context.Context, t *statements, tenant string, jobID uuid.UUID) error {
	var execution, answer uuid.UUID
	var live bool
	err := t.row(ctx, `SELECT execution_id, coalesce(answer_of, execution_id), status = 'queued' FROM jobs WHERE id = ? AND tenant = ?`, id(jobID), tenant).
		Scan(&execution, &answer, &live)
	if errors.Is(err, sql.ErrNoRows) {
		return jobs.ErrNotFound
	}
	if err != nil {
		return err
	}
	if live {
		return jobs.ErrLive
	}
	if err := deleteDeliveries(ctx, t, jobID); err != nil {
		return err
	}
	for _, statement := range []string{
		`DELETE FROM events WHERE job_id = ?`, `DELETE FROM drops WHERE job_id = ?`, `DELETE FROM jobs WHERE id = ?`,
	} {
		if _, err := t.exec(ctx, statement, id(jobID)); err != nil {
			return err
		}
	}
	for _, e := range []uuid.UUID{execution, answer} {
		if err := errors.Join(deleteOrphan(ctx, t, e), blankOrphan(ctx, t, e)); err != nil {
			return err
		}
	}
	return nil
}

// deleteOrphan removes what is kept for an execution unless a job is left that
// has it: one of its own, or one that was given a copy of its answer.
func deleteOrphan(ctx context.Context, t *statements, execution uuid.UUID) error {
	const unused = ` WHERE execution_id = ?1
		AND NOT EXISTS (SELECT 1 FROM jobs WHERE execution_id = ?1) AND NOT EXISTS (SELECT 1 FROM jobs WHERE answer_of = ?1)`
	for _, table := range []string{"requests", "results", "calls"} {
		if _, err := t.exec(ctx, `DELETE FROM `+table+unused, id(execution)); err != nil {
			return err
		}
	}
	return nil
}

// deleteDeliveries removes what was to be told of a job.
func deleteDeliveries(ctx context.Context, t *statements, jobID uuid.UUID) error {
	list, err := all(ctx, t, scanID, `SELECT id FROM deliveries WHERE job_id = ?`, id(jobID))
	if err != nil {
		return err
	}
	for _, d := range list {
		if err := deleteDelivery(ctx, t, d); err != nil {
			return err
		}
	}
	return nil
}

// deleteDelivery removes a delivery with its body and attempts.
func deleteDelivery(ctx context.Context, t *statements, deliveryID uuid.UUID) error {
	for _, statement := range []string{
		`DELETE FROM delivery_bodies WHERE delivery_id = ?`, `DELETE FROM delivery_attempts WHERE delivery_id = ?`,
		`DELETE FROM deliveries WHERE id = ?`,
	} {
		if _, err := t.exec(ctx, statement, id(deliveryID)); err != nil {
			return err
		}
	}
	return nil
}
