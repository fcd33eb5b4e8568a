package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks"
)

// Signature is how messages are signed, in the words of Standard Webhooks.
type Signature string

// The signatures.
const (
	// SignatureV1 is HMAC-SHA256: the receiver has the same secret.
	SignatureV1 Signature = "v1"
	// SignatureV1A is ed25519: the receiver has the public key.
	SignatureV1A Signature = "v1a"
)

// SignatureOf returns how an owner signs whose current secret has that public key, or
// none.
func SignatureOf(publicKey string) Signature {
	if publicKey == "" {
		return SignatureV1
	}
	return SignatureV1A
}

// How long the secret before signs on after a rotation.
const (
	DefaultOverlap = 24 * time.Hour
	MaxOverlap     = 7 * 24 * time.Hour
)

// Rotation is a new secret in place of the one before.
type Rotation struct {
	Secret

	// PreviousUntil is until when those before it sign as well; zero: there are none.
	PreviousUntil time.Time
}

// Rotate gives an endpoint a new secret, which is returned this once. Those before it
// sign on for the overlap; nil is [DefaultOverlap], zero ends them at once. No signature
// is the one that it has.
func (s *Service) Rotate(ctx context.Context, tenant string, id uuid.UUID, signature Signature, overlap *time.Duration) (Rotation, error) {
	w, err := s.Get(ctx, tenant, id)
	if err != nil {
		return Rotation{}, err
	}
	if w.PerJob {
		return Rotation{}, conflict("webhooks of jobs are signed with the tenant's own secret: POST /v1/webhook-secret/rotate")
	}
	if signature == "" {
		signature = SignatureOf(w.PublicKey)
	}
	return s.rotate(ctx, tenant, id, signature, overlap)
}

// RotateTenantSecret is Rotate for the secret that signs the webhooks of a tenant's jobs;
// it makes the first one, too. No signature is [SignatureV1].
func (s *Service) RotateTenantSecret(ctx context.Context, tenant string, signature Signature, overlap *time.Duration) (Rotation, error) {
	return s.rotate(ctx, tenant, TenantOwner(tenant), signature, overlap)
}

func (s *Service) rotate(ctx context.Context, tenant string, owner uuid.UUID, signature Signature, overlap *time.Duration) (Rotation, error) {
	at, lasts := now(), DefaultOverlap
	set(&lasts, overlap)
	if lasts < 0 || lasts > MaxOverlap {
		return Rotation{}, jobs.Invalid("/overlap", "is %v; want 0s to %v", lasts, MaxOverlap)
	}
	secret, err := newSecret(tenant, owner, signature, at)
	if err != nil {
		return Rotation{}, err
	}
	r := Rotation{Secret: secret, PreviousUntil: at.Add(lasts)}
	before, err := s.store.RotateSecret(ctx, secret, r.PreviousUntil)
	if err != nil {
		return Rotation{}, inWords(noEndpoint, err)
	}
	if before == 0 || lasts == 0 {
		r.PreviousUntil = time.Time{}
	}
	if owner == TenantOwner(tenant) { // all that stand for webhooks of its jobs
		s.changed(ctx)
		return r, nil
	}
	s.changed(ctx, owner)
	return r, nil
}

// newSecret makes a secret for an owner; no signature is [SignatureV1].
func newSecret(tenant string, owner uuid.UUID, signature Signature, at time.Time) (Secret, error) {
	secret := Secret{ID: newID(), Tenant: tenant, Owner: owner, CreatedAt: at}
	switch signature {
	case SignatureV1, "":
		secret.Key = webhooks.NewSecret()
		return secret, nil
	case SignatureV1A:
		secret.Key = webhooks.NewPrivateKey()
	default:
		return Secret{}, jobs.Invalid("/signature", "must be %s or %s", SignatureV1, SignatureV1A)
	}
	key, err := webhooks.ParseKey(secret.Key)
	if err != nil {
		return Secret{}, fmt.Errorf("make a key: %w", err)
	}
	secret.PublicKey, _ = key.Public()
	return secret, nil
}
