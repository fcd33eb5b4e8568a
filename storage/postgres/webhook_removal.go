package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// DeleteEndpoint removes an endpoint: see [delivery.EndpointStore]. What was or is to be
// sent to it is seen by nobody from then on, and swept.
func (s *Store) DeleteEndpoint(ctx context.Context, tenant string, id uuid.UUID) error {
	return s.write(ctx, "remove an endpoint", func(ctx context.Context, t *txn) error {
		var gone []uuid.UUID
		t.each(appendID(&gone), `DELETE FROM webhook_endpoints WHERE id = $1 AND tenant = $2 RETURNING id`, id, tenant)
		if err := t.flush(ctx); err != nil {
			return err
		}
		if len(gone) == 0 {
			return jobs.ErrNotFound
		}
		t.exec(`DELETE FROM webhook_states WHERE endpoint_id = $1`, id)
		t.exec(`DELETE FROM webhook_secrets WHERE owner = $1`, id)
		t.exec(`DELETE FROM webhook_replays WHERE endpoint_id = $1`, id)
		t.exec(`INSERT INTO webhook_removals (endpoint_id) VALUES ($1) ON CONFLICT (endpoint_id) DO NOTHING`, id)
		return nil
	})
}

// sweepRemovals deletes what went to endpoints that are gone.
func (s *Store) sweepRemovals(ctx context.Context, _ time.Time, limit int) (int, error) {
	removed, err := s.idsBy(ctx, `SELECT endpoint_id FROM webhook_removals ORDER BY endpoint_id LIMIT $1`, sweepAtOnce)
	if err != nil {
		return 0, err
	}
	return sweepEach(removed, limit, func(endpoint uuid.UUID, most int) (int, error) {
		n, err := s.removeSome(ctx, endpoint, most)
		if err != nil || n == most {
			return n, err
		}
		_, err = s.sweepSome(ctx, `DELETE FROM webhook_removals WHERE endpoint_id = $1`, endpoint)
		return n, err
	})
}

// removeAll deletes all that went to an endpoint that is gone.
func (s *Store) removeAll(ctx context.Context, endpoint uuid.UUID) error {
	for {
		n, err := s.removeSome(ctx, endpoint, sweepAtOnce)
		if err != nil {
			return err
		}
		if n < sweepAtOnce {
			_, err := s.sweepSome(ctx, `DELETE FROM webhook_removals WHERE endpoint_id = $1`, endpoint)
			return err
		}
	}
}

// removeSome deletes deliveries to an endpoint that is gone, with what they have. They are
// locked first, so that whoever keeps a body has done so.
func (s *Store) removeSome(ctx context.Context, endpoint uuid.UUID, limit int) (n int, err error) {
	const choose = `
		SELECT d.id FROM %s d
		WHERE d.endpoint_id = $1 AND (SELECT true FROM webhook_endpoints e WHERE e.id = $1) IS NULL
		ORDER BY d.endpoint_id, d.id LIMIT $2 FOR UPDATE`
	err = s.write(ctx, "remove deliveries", func(ctx context.Context, t *txn) error {
		n = 0
		for _, table := range []string{"pending_deliveries", "deliveries"} {
			var ids []uuid.UUID
			t.each(appendID(&ids), fmt.Sprintf(choose, table), endpoint, limit-n)
			if err := t.flush(ctx); err != nil {
				return err
			}
			n += len(ids)
			t.exec(`DELETE FROM `+table+` WHERE endpoint_id = $1 AND id = ANY ($2::uuid[])`, endpoint, ids)
			t.exec(`DELETE FROM delivery_bodies WHERE delivery_id = ANY ($1::uuid[])`, ids)
			t.exec(`DELETE FROM delivery_attempts WHERE delivery_id = ANY ($1::uuid[])`, ids)
		}
		return nil
	})
	return n, err
}
