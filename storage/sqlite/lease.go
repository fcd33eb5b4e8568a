package sqlite

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Lease takes or renews a lease by Go's clock: see [jobs.DispatchStore]. Most of
// those who ask see that another has it: they do not wait for the one writer.
func (s *Store) Lease(ctx context.Context, name string, holder uuid.UUID, ttl time.Duration) (bool, error) {
	const text = `SELECT EXISTS (SELECT 1 FROM leases WHERE name = ? AND holder <> ? AND expires_at > ?)`
	others, err := read(ctx, s, "look at a lease", func(ctx context.Context, q *statements) (others bool, err error) {
		err = q.row(ctx, text, name, id(holder), micros(time.Now())).Scan(&others)
		return others, err
	})
	if err != nil || others {
		return false, err
	}
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
