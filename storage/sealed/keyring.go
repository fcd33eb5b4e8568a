package sealed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/tenantkey"
)

// erasedError says that a key was erased, and with it all it had sealed.
type erasedError struct{ at time.Time }

func (e *erasedError) Error() string {
	return "erased with the tenant's key at " + e.at.UTC().Format(time.RFC3339)
}

// lostError says that what is there opens for nobody.
type lostError struct{ reason string }

func (e *lostError) Error() string { return e.reason }

// errUnknownKey says that an envelope names a key of which there is no record.
var errUnknownKey = &lostError{"the data key that this is sealed with is not in the database"}

// withheldError says that a key is under a secret that this process lacks:
// another may have it.
type withheldError struct{ kek string }

func (e *withheldError) Error() string {
	return "it is sealed with a key under secret " + e.kek + ", which PENSTOCK_SECRET_KEY of this process does not have"
}

// keyring finds data keys. What it has unwrapped it keeps for a short while.
type keyring struct {
	store   tenantkey.Store
	secrets []Secret
	maxAge  time.Duration
	cache   *cache
}

// active returns the key to seal a tenant's payloads with. It makes one if there
// is none, or if the one there is is older than maxAge.
func (r *keyring) active(ctx context.Context, tenant string) (dataKey, error) {
	return r.cache.get(ctx, cacheKey{tenant: tenant}, func(ctx context.Context) (dataKey, error) {
		k, err := r.store.ActiveKey(ctx, tenant)
		if err == nil && time.Since(k.CreatedAt) >= r.maxAge {
			k, err = r.renew(ctx, tenant, k.ID)
		}
		for n := 0; n < 3 && errors.Is(err, tenantkey.ErrNoKey); n++ { // again if it is erased meanwhile
			k, err = r.renew(ctx, tenant, uuid.Nil)
		}
		if err != nil {
			return dataKey{}, fmt.Errorf("find the key to seal with: %w", err)
		}
		return r.unwrap(k)
	})
}

// renew makes a new active key, unless another process does so first.
func (r *keyring) renew(ctx context.Context, tenant string, old uuid.UUID) (tenantkey.Key, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return tenantkey.Key{}, err
	}
	kek := r.secrets[0]
	return r.store.AddKey(ctx, tenantkey.Key{
		ID: id, Tenant: tenant, Wrapped: kek.newDataKey(id, tenant), KEK: kek.ID(),
		CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
	}, old)
}

// byID returns the key that an envelope names: else an *[erasedError], a
// *[lostError] or a *[withheldError], or why the store does not tell.
func (r *keyring) byID(ctx context.Context, id uuid.UUID) (dataKey, error) {
	return r.cache.get(ctx, cacheKey{id: id}, func(ctx context.Context) (dataKey, error) {
		k, err := r.store.KeyByID(ctx, id)
		switch {
		case errors.Is(err, tenantkey.ErrNoKey):
			return dataKey{}, errUnknownKey
		case err != nil:
			return dataKey{}, fmt.Errorf("find the key to open with: %w", err)
		case !k.ErasedAt.IsZero():
			return dataKey{}, &erasedError{at: k.ErasedAt}
		default:
			return r.unwrap(k)
		}
	})
}

// unwrap returns the key, or a *[lostError]. Without its secret it is as if the
// store were away: whoever waits for that waits for this as well.
func (r *keyring) unwrap(k tenantkey.Key) (dataKey, error) {
	secret, ok := r.secret(k.KEK)
	if !ok {
		return dataKey{}, jobs.Unavailable(&withheldError{kek: k.KEK})
	}
	key, err := secret.unwrap(k.Wrapped, k.ID, k.Tenant)
	if err != nil {
		return dataKey{}, err
	}
	return dataKey{id: k.ID, aead: newAEAD(key)}, nil
}

func (r *keyring) secret(id string) (Secret, bool) {
	for _, s := range r.secrets {
		if s.ID() == id {
			return s, true
		}
	}
	return Secret{}, false
}

// ErrSecretMissing says that keys are wrapped under a secret that is not known.
var ErrSecretMissing = errors.New("data is sealed under a secret that is not here")

// check fails with [ErrSecretMissing] unless every key can be unwrapped.
func (r *keyring) check(ctx context.Context) error {
	keks, err := r.store.KEKs(ctx)
	if err != nil {
		return err
	}
	for _, kek := range keks {
		if _, ok := r.secret(kek); !ok {
			return fmt.Errorf("secret %s: %w", kek, ErrSecretMissing)
		}
	}
	return nil
}

// rewrapAtOnce is how many keys are listed at a time.
const rewrapAtOnce = 500

// rewrap puts keys that are under another secret under the first. One that
// cannot be unwrapped is left, and told of.
func (r *keyring) rewrap(ctx context.Context) error {
	if len(r.secrets) == 0 {
		return nil
	}
	var failed error
	for after := uuid.Nil; ; {
		keys, err := r.store.KeysNotUnder(ctx, r.secrets[0].ID(), after, rewrapAtOnce)
		if err != nil {
			return err
		}
		for _, k := range keys {
			after = k.ID
			err := r.rewrapOne(ctx, k)
			if isHopeless(err) {
				failed = fmt.Errorf("put key %s under the first secret: %w", k.ID, err)
			} else if err != nil {
				return err
			}
		}
		if len(keys) < rewrapAtOnce {
			return failed
		}
	}
}

func (r *keyring) rewrapOne(ctx context.Context, k tenantkey.Key) error {
	old, ok := r.secret(k.KEK)
	if !ok {
		return &withheldError{kek: k.KEK}
	}
	key, err := old.unwrap(k.Wrapped, k.ID, k.Tenant)
	if err != nil {
		return err
	}
	first := r.secrets[0]
	k.Wrapped, k.KEK = first.wrap(key, k.ID, k.Tenant), first.ID()
	_, err = r.store.RewrapKey(ctx, k, old.ID())
	return err
}
