package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func insertSecret(t *txn, s delivery.Secret) {
	t.exec(`
		INSERT INTO webhook_secrets (id, tenant, owner, key, key_id, public_key, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		s.ID, s.Tenant, s.Owner, s.Key, orNull(s.KeyID), s.PublicKey, s.CreatedAt, when(s.ExpiresAt))
}

// RotateSecret makes s its owner's secret: see [delivery.EndpointStore]. An owner's are
// rotated one after the other.
func (s *Store) RotateSecret(ctx context.Context, secret delivery.Secret, until time.Time) (left int, err error) {
	const expire = `
		UPDATE webhook_secrets SET expires_at = $2 WHERE owner = $1 AND (expires_at IS NULL OR expires_at > $2)`
	const drop = `
		DELETE FROM webhook_secrets WHERE owner = $1 AND (expires_at <= $2 OR id NOT IN (
			SELECT id FROM webhook_secrets WHERE owner = $1 ORDER BY created_at DESC, id DESC LIMIT $3))`
	const count = `SELECT count(*) FROM webhook_secrets WHERE owner = $1`
	err = s.write(ctx, "rotate a secret", func(ctx context.Context, t *txn) error {
		lockOwner(t, secret.Owner)
		if secret.Owner != delivery.TenantOwner(secret.Tenant) {
			if _, _, err := lockEndpoint(ctx, t, secret.Tenant, secret.Owner); err != nil {
				return err
			}
		}
		t.exec(expire, secret.Owner, until)
		t.exec(drop, secret.Owner, secret.CreatedAt, delivery.MaxSecrets-1)
		t.each(func(rows pgx.Rows) error { return rows.Scan(&left) }, count, secret.Owner)
		insertSecret(t, secret)
		return nil
	})
	return left, err
}

// HasSecret reports whether there is a secret: see [delivery.EndpointStore].
func (s *Store) HasSecret(
	ctx context.Context, tenant string, owner uuid.UUID, now time.Time,
) (has bool, err error) {
	const query = `
		SELECT EXISTS (SELECT FROM webhook_secrets
			WHERE owner = $1 AND tenant = $2 AND (expires_at IS NULL OR expires_at > $3))`
	err = s.bounded(ctx, "look for a secret", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, query, owner, tenant, now).Scan(&has)
	})
	return has, err
}

// signers returns the secrets of owners that sign at now, the newest first.
func signers(ctx context.Context, t *txn, owners []uuid.UUID, now time.Time) (map[uuid.UUID][]delivery.Secret, error) {
	const query = `
		SELECT w.id, w.tenant, w.owner, w.key, w.key_id, w.public_key, w.created_at, w.expires_at
		FROM webhook_secrets w WHERE w.owner = ANY ($1::uuid[]) AND (w.expires_at IS NULL OR w.expires_at > $2)
		ORDER BY w.owner, w.expires_at IS NULL DESC, w.created_at DESC, w.id DESC`
	secrets := map[uuid.UUID][]delivery.Secret{}
	t.each(func(rows pgx.Rows) error {
		var s delivery.Secret
		var key *uuid.UUID
		var expires *time.Time
		err := rows.Scan(&s.ID, &s.Tenant, &s.Owner, &s.Key, &key, &s.PublicKey, &s.CreatedAt, &expires)
		s.KeyID, s.ExpiresAt = orZero(key), orZero(expires)
		secrets[s.Owner] = append(secrets[s.Owner], s)
		return err
	}, query, owners, now)
	return secrets, t.flush(ctx)
}
