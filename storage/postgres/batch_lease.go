package postgres

import (
	"context"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
)

// leaseBatches takes what is free and has something to be done. What another takes at the same time is left to it.
const leaseBatches = `
	WITH mine AS MATERIALIZED (
		SELECT b.id FROM batches b WHERE b.open IS NOT NULL AND b.held_until <= clock_timestamp()
			AND NOT (b.paused AND b.status = 'in_progress' AND b.live = 0 AND b.deadline > clock_timestamp())
		ORDER BY b.open LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
	)
	UPDATE batches b SET holder = $1, held_until = clock_timestamp() + $3 * interval '1 microsecond'
	WHERE b.id = ANY (ARRAY (SELECT id FROM mine))
	RETURNING ` + batchColumns

// LeaseBatches gives out batches, by the database's clock: see [batches.KeeperStore].
func (s *Store) LeaseBatches(ctx context.Context, holder uuid.UUID, limit int) (leased []batches.Batch, err error) {
	err = s.write(ctx, "lease batches", func(_ context.Context, t *txn) error {
		leased = nil
		eachBatch(t, &leased, leaseBatches, holder, limit, batches.LeaseTime.Microseconds())
		return nil
	})
	return leased, err
}

// renewBatches locks in the order of ids, which others may do as well.
const renewBatches = `
	WITH mine AS MATERIALIZED (
		SELECT b.id FROM batches b WHERE b.id = ANY ($2::uuid[]) AND b.holder = $1 AND b.held_until > clock_timestamp()
		ORDER BY b.id FOR NO KEY UPDATE
	)
	UPDATE batches b SET held_until = clock_timestamp() + $3 * interval '1 microsecond'
	WHERE b.id = ANY (ARRAY (SELECT id FROM mine))
	RETURNING ` + batchColumns

// RenewBatches prolongs leases: see [batches.KeeperStore].
func (s *Store) RenewBatches(ctx context.Context, holder uuid.UUID, ids []uuid.UUID) (renewed []batches.Batch, err error) {
	err = s.write(ctx, "renew batches", func(_ context.Context, t *txn) error {
		renewed = nil
		eachBatch(t, &renewed, renewBatches, holder, ids, batches.LeaseTime.Microseconds())
		return nil
	})
	return renewed, err
}

// ReleaseBatches gives leases up: see [batches.KeeperStore].
func (s *Store) ReleaseBatches(ctx context.Context, holder uuid.UUID, ids []uuid.UUID) error {
	const release = `
		WITH mine AS MATERIALIZED (
			SELECT b.id FROM batches b WHERE b.id = ANY ($2::uuid[]) AND b.holder = $1 ORDER BY b.id FOR NO KEY UPDATE
		)
		UPDATE batches b SET holder = NULL, held_until = '-infinity' WHERE b.id = ANY (ARRAY (SELECT id FROM mine))`
	return s.write(ctx, "release batches", func(_ context.Context, t *txn) error {
		t.exec(release, holder, ids)
		return nil
	})
}
