package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
)

// freeBatches lists batches that have not ended, that nobody holds and that have something
// to be done.
const freeBatches = `
	SELECT id FROM batches INDEXED BY batches_live WHERE ended_at = 0 AND held_until <= ?1
		AND NOT (paused AND status = 'in_progress' AND live = 0 AND deadline > ?1)
	ORDER BY id LIMIT +?2`

// LeaseBatches gives out batches, by Go's clock: see [batches.KeeperStore]. Most looks
// find none: those do not wait for the one writer.
func (s *Store) LeaseBatches(ctx context.Context, holder uuid.UUID, limit int) ([]batches.Batch, error) {
	list := func(ctx context.Context, q *statements) ([]uuid.UUID, error) {
		return all(ctx, q, scanID, freeBatches, micros(time.Now()), limit)
	}
	if free, err := read(ctx, s, "look for batches", list); err != nil || len(free) == 0 {
		return nil, err
	}
	return change(ctx, s, "lease batches", func(ctx context.Context, t *statements) ([]batches.Batch, error) {
		free, err := list(ctx, t)
		if err != nil {
			return nil, err
		}
		var leased []batches.Batch
		for _, batch := range free {
			if err := holdBatch(ctx, t, holder, batch); err != nil {
				return nil, err
			}
			b, err := heldBatch(ctx, t, holder, batch)
			if err != nil {
				return nil, err
			}
			leased = append(leased, b)
		}
		return leased, nil
	})
}

func holdBatch(ctx context.Context, t *statements, holder, batch uuid.UUID) error {
	_, err := t.exec(ctx, `UPDATE batches SET holder = ?, held_until = ? WHERE id = ?`,
		id(holder), micros(time.Now().Add(batches.LeaseTime)), id(batch))
	return err
}

// RenewBatches prolongs leases: see [batches.KeeperStore].
func (s *Store) RenewBatches(ctx context.Context, holder uuid.UUID, ids []uuid.UUID) ([]batches.Batch, error) {
	return change(ctx, s, "renew batches", func(ctx context.Context, t *statements) ([]batches.Batch, error) {
		var renewed []batches.Batch
		for _, batch := range ids {
			b, err := heldBatch(ctx, t, holder, batch)
			if errors.Is(err, batches.ErrNotHeld) {
				continue
			}
			if err != nil {
				return nil, err
			}
			if err := holdBatch(ctx, t, holder, batch); err != nil {
				return nil, err
			}
			renewed = append(renewed, b)
		}
		return renewed, nil
	})
}

// ReleaseBatches gives leases up: see [batches.KeeperStore].
func (s *Store) ReleaseBatches(ctx context.Context, holder uuid.UUID, ids []uuid.UUID) error {
	_, err := change(ctx, s, "release batches", func(ctx context.Context, t *statements) (struct{}, error) {
		for _, batch := range ids {
			_, err := t.exec(ctx, `UPDATE batches SET holder = NULL, held_until = 0 WHERE id = ? AND holder = ?`,
				id(batch), id(holder))
			if err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}
