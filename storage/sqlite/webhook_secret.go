package sqlite

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func insertSecret(ctx context.Context, t *statements, s delivery.Secret) error {
	_, err := t.exec(ctx, `
		INSERT INTO webhook_secrets (id, tenant, owner, key, key_id, public_key, created_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		id(s.ID), s.Tenant, id(s.Owner), s.Key, idOrNull(s.KeyID), s.PublicKey, micros(s.CreatedAt), micros(s.ExpiresAt))
	return err
}

// RotateSecret replaces an owner's secret: see [delivery.EndpointStore].
func (s *Store) RotateSecret(ctx context.Context, secret delivery.Secret, until time.Time) (int, error) {
	return change(ctx, s, "rotate a secret", func(ctx context.Context, t *statements) (int, error) {
		if secret.Owner != delivery.TenantOwner(secret.Tenant) {
			if _, err := endpointOf(ctx, t, secret.Tenant, secret.Owner); err != nil {
				return 0, err
			}
		}
		if err := insertSecret(ctx, t, secret); err != nil {
			return 0, err
		}
		if err := retireSecrets(ctx, t, secret, until); err != nil {
			return 0, err
		}
		var left int
		err := t.row(ctx, `SELECT count(*) FROM webhook_secrets WHERE owner = ? AND id <> ?`, id(secret.Owner), id(secret.ID)).
			Scan(&left)
		return left, err
	})
}

// retireSecrets bounds how long the owner's other secrets sign, and deletes those that
// do not any more.
func retireSecrets(ctx context.Context, t *statements, current delivery.Secret, until time.Time) error {
	_, err := t.exec(ctx, `
		UPDATE webhook_secrets SET expires_at = CASE expires_at WHEN 0 THEN ?1 ELSE min(expires_at, ?1) END
		WHERE owner = ?2 AND id <> ?3`, max(micros(until), 1), id(current.Owner), id(current.ID))
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `
		DELETE FROM webhook_secrets WHERE owner = ?1 AND id <> ?2 AND (expires_at <= ?3 OR id NOT IN (
			SELECT id FROM webhook_secrets WHERE owner = ?1 AND id <> ?2 ORDER BY created_at DESC, id DESC LIMIT ?4))`,
		id(current.Owner), id(current.ID), micros(current.CreatedAt), delivery.MaxSecrets-1)
	return err
}

// HasSecret reports whether something signs for an owner: see [delivery.EndpointStore].
func (s *Store) HasSecret(ctx context.Context, tenant string, owner uuid.UUID, now time.Time) (bool, error) {
	return read(ctx, s, "look for a secret", func(ctx context.Context, q *statements) (bool, error) {
		return exists(ctx, q, `
			SELECT 1 FROM webhook_secrets WHERE owner = ? AND tenant = ? AND (expires_at = 0 OR expires_at > ?) LIMIT 1`,
			id(owner), tenant, micros(now))
	})
}

// secretsOf lists what signs for an endpoint, the current secret first.
func secretsOf(ctx context.Context, q *statements, e delivery.Endpoint, now time.Time) ([]delivery.Secret, error) {
	owner := e.ID
	if e.PerJob {
		owner = delivery.TenantOwner(e.Tenant)
	}
	return all(ctx, q, scanSecret, `
		SELECT id, tenant, owner, key, key_id, public_key, created_at, expires_at FROM webhook_secrets
		WHERE owner = ? AND tenant = ? AND (expires_at = 0 OR expires_at > ?)
		ORDER BY expires_at = 0 DESC, created_at DESC, id DESC`, id(owner), e.Tenant, micros(now))
}

func scanSecret(row scanner) (delivery.Secret, error) {
	var s delivery.Secret
	var key []byte
	var created, expires int64
	err := row.Scan(&s.ID, &s.Tenant, &s.Owner, &s.Key, &key, &s.PublicKey, &created, &expires)
	copy(s.KeyID[:], key)
	s.CreatedAt, s.ExpiresAt = when(created), when(expires)
	return s, err
}
