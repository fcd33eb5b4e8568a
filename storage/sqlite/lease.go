package sqlite

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Lease takes or renews a lease by Go's clock: see [jobs.DispatchStore].
func (s *Store) Lease(ctx context.Context, name string, holder uuid.UUID, ttl time.Duration) (bool, error) {
	return change(ctx, s, "take a lease", func(ctx context.Context, t *statements) (bool, error) {
		now := time.Now()
		n, err := t.exec(ctx, `
			INSERT INTO leases (name, holder, expires_at) VALUES (?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
			WHERE leases.holder = excluded.holder OR leases.expires_at <= ?`,
			name, id(holder), micros(now.Add(ttl)), micros(now))
		return n == 1, err
	})
}

// Unlease gives a lease up: see [jobs.DispatchStore].
func (s *Store) Unlease(ctx context.Context, name string, holder uuid.UUID) error {
	_, err := change(ctx, s, "give up a lease", func(ctx context.Context, t *statements) (int64, error) {
		return t.exec(ctx, `DELETE FROM leases WHERE name = ? AND holder = ?`, name, id(holder))
	})
	return err
}
