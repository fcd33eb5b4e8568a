package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/storage/tenantkey"
)

var _ tenantkey.Store = (*Store)(nil)

const (
	selectKey       = `SELECT id, tenant, wrapped, kek_id, created_at, retired_at, erased_at FROM tenant_keys`
	selectActiveKey = selectKey + ` WHERE tenant = $1 AND retired_at IS NULL`
)

func scanKey(row pgx.CollectableRow) (tenantkey.Key, error) {
	var k tenantkey.Key
	var retired, erased *time.Time
	err := row.Scan(&k.ID, &k.Tenant, &k.Wrapped, &k.KEK, &k.CreatedAt, &retired, &erased)
	k.CreatedAt, k.RetiredAt, k.ErasedAt = k.CreatedAt.UTC(), orZero(retired).UTC(), orZero(erased).UTC()
	return k, err
}

// ActiveKey returns a tenant's active key: see [tenantkey.Store].
func (s *Store) ActiveKey(ctx context.Context, tenant string) (tenantkey.Key, error) {
	return s.oneKey(ctx, "read a tenant's key", selectActiveKey, tenant)
}

// KeyByID returns any key: see [tenantkey.Store].
func (s *Store) KeyByID(ctx context.Context, id uuid.UUID) (tenantkey.Key, error) {
	return s.oneKey(ctx, "read a key", selectKey+` WHERE id = $1`, id)
}

// oneKey reads the one key of a query or answers [tenantkey.ErrNoKey].
func (s *Store) oneKey(ctx context.Context, doing, query string, args ...any) (k tenantkey.Key, err error) {
	none := false
	err = s.bounded(ctx, doing, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		k, err = pgx.CollectExactlyOneRow(rows, scanKey)
		if none = errors.Is(err, pgx.ErrNoRows); none {
			return nil
		}
		return err
	})
	if err == nil && none {
		err = tenantkey.ErrNoKey
	}
	return k, err
}

// AddKey makes k its tenant's active key: see [tenantkey.Store]. The statements
// are as many snapshots: each waits for whoever does the same, and the last sees
// what they left.
func (s *Store) AddKey(ctx context.Context, k tenantkey.Key, replaces uuid.UUID) (active tenantkey.Key, err error) {
	const retire = `UPDATE tenant_keys SET retired_at = $1 WHERE id = $2 AND tenant = $3 AND retired_at IS NULL`
	const insert = `
		INSERT INTO tenant_keys (id, tenant, wrapped, kek_id, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (tenant) WHERE retired_at IS NULL DO NOTHING`
	err = s.write(ctx, "add a key", func(_ context.Context, t *txn) error {
		t.exec(retire, k.CreatedAt, replaces, k.Tenant)
		t.exec(insert, k.ID, k.Tenant, k.Wrapped, k.KEK, k.CreatedAt)
		t.each(func(rows pgx.Rows) (err error) {
			active, err = scanKey(rows)
			return err
		}, selectActiveKey, k.Tenant)
		return nil
	})
	if err == nil && active.ID == uuid.Nil {
		err = tenantkey.ErrNoKey // erased meanwhile
	}
	return active, err
}

// KEKs lists the secrets in use: see [tenantkey.Store].
func (s *Store) KEKs(ctx context.Context) (keks []string, err error) {
	const query = `SELECT DISTINCT kek_id FROM tenant_keys WHERE erased_at IS NULL ORDER BY kek_id`
	err = s.bounded(ctx, "list the secrets of keys", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, query)
		if err != nil {
			return err
		}
		keks, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return keks, err
}

// KeysNotUnder lists keys under another secret: see [tenantkey.Store].
func (s *Store) KeysNotUnder(
	ctx context.Context, kek string, after uuid.UUID, limit int,
) (keys []tenantkey.Key, err error) {
	const where = ` WHERE kek_id <> $1 AND erased_at IS NULL AND id > $2 ORDER BY id LIMIT $3`
	err = s.bounded(ctx, "list keys to rewrap", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, selectKey+where, kek, after, limit)
		if err != nil {
			return err
		}
		keys, err = pgx.CollectRows(rows, scanKey)
		return err
	})
	return keys, err
}

// RewrapKey puts a key under another secret: see [tenantkey.Store].
func (s *Store) RewrapKey(ctx context.Context, k tenantkey.Key, from string) (done bool, err error) {
	const update = `
		UPDATE tenant_keys SET wrapped = $1, kek_id = $2 WHERE id = $3 AND kek_id = $4 AND erased_at IS NULL`
	err = s.bounded(ctx, "rewrap a key", func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, update, k.Wrapped, k.KEK, k.ID, from)
		done = tag.RowsAffected() == 1
		return err
	})
	return done && err == nil, err
}
