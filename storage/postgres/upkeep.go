package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/penstock-dev/penstock/jobs"
)

// Lease takes or renews the named lease by the database's clock: see
// [jobs.DispatchStore].
func (s *Store) Lease(ctx context.Context, name string, holder uuid.UUID, ttl time.Duration) (held bool, err error) {
	const take = `
		INSERT INTO leases (name, holder, expires_at)
		VALUES ($1, $2, clock_timestamp() + $3 * interval '1 microsecond')
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
		WHERE leases.holder = excluded.holder OR leases.expires_at <= clock_timestamp()`
	err = s.bounded(ctx, "take a lease", func(ctx context.Context) error {
		var tag pgconn.CommandTag
		tag, err := s.pool.Exec(ctx, take, name, holder, ttl.Microseconds())
		held = tag.RowsAffected() == 1
		return err
	})
	return held && err == nil, err
}

// Unlease gives the lease up if holder has it.
func (s *Store) Unlease(ctx context.Context, name string, holder uuid.UUID) error {
	return s.bounded(ctx, "give up a lease", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, `DELETE FROM leases WHERE name = $1 AND holder = $2`, name, holder)
		return err
	})
}

// maxDropped is how many idempotency records one transaction drops.
const maxDropped = 5000

// Maintain drops idempotency records past their time and lines of batches that are
// removed, and makes partitions for the weeks to come. It is more than one transaction.
func (s *Store) Maintain(ctx context.Context, now time.Time) error {
	err := errors.Join(s.dropKeys(ctx, now.Add(-jobs.IdempotencyWindow)), s.removeRest(ctx))
	if err != nil {
		return err
	}
	return s.bounded(ctx, "make partitions", func(ctx context.Context) error {
		conn, err := s.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		if err := makePartitions(ctx, conn.Conn(), now); err != nil {
			return fmt.Errorf("make partitions: %w", err)
		}
		return nil
	})
}

// dropKeys leaves records that someone holds for the next time.
func (s *Store) dropKeys(ctx context.Context, before time.Time) error {
	const drop = `
		DELETE FROM idempotency WHERE ctid = ANY (ARRAY (
			SELECT ctid FROM idempotency WHERE created_at < $1
			ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))`
	for {
		var dropped int64
		err := s.bounded(ctx, "drop idempotency records", func(ctx context.Context) error {
			tag, err := s.pool.Exec(ctx, drop, before, maxDropped)
			dropped = tag.RowsAffected()
			return err
		})
		if err != nil || dropped < maxDropped {
			return err
		}
	}
}
