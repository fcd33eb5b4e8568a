package sqlite

import (
	"context"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/storage/tenantkey"
)

var _ tenantkey.Store = (*Store)(nil)

const selectKey = `SELECT id, tenant, wrapped, kek_id, created_at, retired_at, erased_at FROM tenant_keys`

func scanKey(row scanner) (tenantkey.Key, error) {
	var k tenantkey.Key
	var created, retired, erased int64
	err := row.Scan(&k.ID, &k.Tenant, &k.Wrapped, &k.KEK, &created, &retired, &erased)
	k.CreatedAt, k.RetiredAt, k.ErasedAt = when(created), when(retired), when(erased)
	return k, err
}

// oneKey reads the one key of a query or answers [tenantkey.ErrNoKey].
func oneKey(row scanner) (tenantkey.Key, error) {
	k, err := scanKey(row)
	ok, err := found(err)
	if err == nil && !ok {
		return tenantkey.Key{}, tenantkey.ErrNoKey
	}
	return k, err
}

// ActiveKey returns a tenant's active key: see [tenantkey.Store].
func (s *Store) ActiveKey(ctx context.Context, tenant string) (tenantkey.Key, error) {
	return read(ctx, s, "read a tenant's key", func(ctx context.Context, q *statements) (tenantkey.Key, error) {
		return activeKey(ctx, q, tenant)
	})
}

func activeKey(ctx context.Context, q *statements, tenant string) (tenantkey.Key, error) {
	return oneKey(q.row(ctx, selectKey+` WHERE tenant = ? AND retired_at = 0`, tenant))
}

// KeyByID returns any key: see [tenantkey.Store].
func (s *Store) KeyByID(ctx context.Context, key uuid.UUID) (tenantkey.Key, error) {
	return read(ctx, s, "read a key", func(ctx context.Context, q *statements) (tenantkey.Key, error) {
		return oneKey(q.row(ctx, selectKey+` WHERE id = ?`, id(key)))
	})
}

// AddKey makes k its tenant's active key: see [tenantkey.Store].
func (s *Store) AddKey(ctx context.Context, k tenantkey.Key, replaces uuid.UUID) (tenantkey.Key, error) {
	return change(ctx, s, "add a key", func(ctx context.Context, t *statements) (tenantkey.Key, error) {
		_, err := t.exec(ctx, `UPDATE tenant_keys SET retired_at = ? WHERE id = ? AND tenant = ? AND retired_at = 0`,
			micros(k.CreatedAt), id(replaces), k.Tenant)
		if err != nil {
			return tenantkey.Key{}, err
		}
		_, err = t.exec(ctx, `
			INSERT INTO tenant_keys (id, tenant, wrapped, kek_id, created_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (tenant) WHERE retired_at = 0 DO NOTHING`,
			id(k.ID), k.Tenant, k.Wrapped, k.KEK, micros(k.CreatedAt))
		if err != nil {
			return tenantkey.Key{}, err
		}
		return activeKey(ctx, t, k.Tenant)
	})
}

// KEKs lists the secrets in use: see [tenantkey.Store].
func (s *Store) KEKs(ctx context.Context) ([]string, error) {
	return read(ctx, s, "list the secrets of keys", func(ctx context.Context, q *statements) ([]string, error) {
		return all(ctx, q, scanString, `SELECT DISTINCT kek_id FROM tenant_keys WHERE erased_at = 0 ORDER BY kek_id`)
	})
}

// KeysNotUnder lists keys under another secret: see [tenantkey.Store].
func (s *Store) KeysNotUnder(ctx context.Context, kek string, after uuid.UUID, limit int) ([]tenantkey.Key, error) {
	return read(ctx, s, "list keys to rewrap", func(ctx context.Context, q *statements) ([]tenantkey.Key, error) {
		return all(ctx, q, scanKey, selectKey+` WHERE kek_id <> ? AND erased_at = 0 AND id > ? ORDER BY id LIMIT +?`,
			kek, id(after), limit)
	})
}

// RewrapKey puts a key under another secret: see [tenantkey.Store].
func (s *Store) RewrapKey(ctx context.Context, k tenantkey.Key, from string) (bool, error) {
	n, err := change(ctx, s, "rewrap a key", func(ctx context.Context, t *statements) (int64, error) {
		return t.exec(ctx, `UPDATE tenant_keys SET wrapped = ?, kek_id = ? WHERE id = ? AND kek_id = ? AND erased_at = 0`,
			k.Wrapped, k.KEK, id(k.ID), from)
	})
	return n == 1, err
}
