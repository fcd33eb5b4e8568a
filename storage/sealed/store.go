package sealed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/tenantkey"
)

// Config says how a store seals.
type Config struct {
	// Secrets unwrap data keys; the first wraps new ones. Without any nothing is
	// sealed.
	Secrets []Secret
	// Local, where there are no Secrets, seals the secrets of webhooks and nothing
	// else. Where there are, it opens what it sealed before.
	Local []Secret
	// KeyAge is how long a data key seals new payloads; default 90 days. What it
	// sealed stays readable.
	KeyAge time.Duration
}

// defaultKeyAge is that of Config.KeyAge.
const defaultKeyAge = 90 * 24 * time.Hour

// Store is a [jobs.Store] that seals payloads before it passes them on, and
// opens what it is given back. Payloads in plain, from before there was a secret,
// are passed on as they are.
//
// What was sealed with a key that is erased since is gone: a job that had
// succeeded has error code [jobs.CodeErased] in place of its result, its request
// is an *[jobs.Error] with that code, and a live execution is handed to its
// worker as refused. What opens for nobody, for it was changed, is the same with
// code [jobs.CodeUnreadable]. What this process lacks the secret for is an
// *[jobs.Error] with code [jobs.CodeStoreUnavailable], and a live execution is
// withheld from its worker: a process that has it goes on.
//
// An erasure by another process is seen within half a minute. What is submitted
// for the tenant in that time may still be sealed with the erased key, and ends
// as erased.
type Store struct {
	jobs.Store

	keys *keyring
	// plain says that payloads are kept as they are.
	plain bool
}

var _ jobs.Store = (*Store)(nil)

// Backing is what a sealed store stands on.
type Backing interface {
	jobs.Store
	tenantkey.Store
}

// New returns a store that stands on b, and closes it when it is closed. It
// fails with [ErrSecretMissing] when there is sealed data that c's secrets cannot
// open.
func New(ctx context.Context, b Backing, c Config) (*Store, error) {
	if c.KeyAge < 0 {
		return nil, fmt.Errorf("KeyAge is %v: want more than zero, or 0 for %v", c.KeyAge, defaultKeyAge)
	}
	if c.KeyAge == 0 {
		c.KeyAge = defaultKeyAge
	}
	keys := &keyring{store: b, secrets: slices.Concat(c.Secrets, c.Local), maxAge: c.KeyAge, cache: newCache(cacheSize)}
	if err := keys.check(ctx); err != nil {
		return nil, fmt.Errorf("check the keys of tenants: %w", err)
	}
	return &Store{Store: b, keys: keys, plain: len(c.Secrets) == 0}, nil
}

// Erase makes unreadable all that is sealed for a tenant, and ends as failed
// what lives of it. What is in plain stays.
func Erase(ctx context.Context, keys tenantkey.Store, tenant string) (tenantkey.Erased, error) {
	at := time.Now().UTC().Truncate(time.Microsecond)
	erased, err := keys.Erase(ctx, tenant, at, refusal(&erasedError{at: at}))
	if err != nil {
		return erased, fmt.Errorf("erase the keys of a tenant: %w", err)
	}
	return erased, nil
}

// Maintain does what the store does, and puts data keys under the first secret.
func (s *Store) Maintain(ctx context.Context, now time.Time) error {
	return errors.Join(s.Store.Maintain(ctx, now), s.keys.rewrap(ctx))
}

var errNobodys = errors.New("a payload to seal is no tenant's")

// seal returns the payload in an envelope, and the key's id. Without a secret,
// or without a payload, both are as they were.
func (s *Store) seal(ctx context.Context, p place, payload []byte) ([]byte, uuid.UUID, error) {
	if s.plain || len(payload) == 0 {
		return payload, uuid.Nil, nil
	}
	return s.sealAlways(ctx, p, payload)
}

func (s *Store) sealAlways(ctx context.Context, p place, payload []byte) ([]byte, uuid.UUID, error) {
	if p.tenant == "" {
		return nil, uuid.Nil, errNobodys
	}
	k, err := s.keys.active(ctx, p.tenant)
	if err != nil {
		return nil, uuid.Nil, err
	}
	return k.seal(p, payload), k.id, nil
}

func (s *Store) sealText(ctx context.Context, p place, text string) (string, uuid.UUID, error) {
	b, key, err := s.seal(ctx, p, []byte(text))
	if err != nil || key == uuid.Nil {
		return text, key, err
	}
	return toText(b), key, nil
}

// open returns the payload in b, which may be in plain.
func (s *Store) open(ctx context.Context, p place, b []byte) ([]byte, error) {
	id, sealed := keyOf(b)
	if !sealed {
		return b, nil
	}
	k, err := s.keys.byID(ctx, id)
	if err != nil {
		return nil, err
	}
	return k.open(p, b)
}

// openText is open for text. Text in plain may come from a provider: what looks
// like an envelope under no key of ours is none.
func (s *Store) openText(ctx context.Context, p place, text string) (string, error) {
	envelope, sealed := fromText(text)
	if !sealed {
		return text, nil
	}
	b, err := s.open(ctx, p, envelope)
	if errors.Is(err, errUnknownKey) {
		return text, nil
	}
	return string(b), err
}

// refusal says why a payload cannot be read, as the error of a job; its code is
// empty when that may change.
func refusal(err error) jobs.JobError {
	if e, ok := errors.AsType[*erasedError](err); ok {
		return jobs.JobError{Code: jobs.CodeErased, Message: e.Error()}
	}
	if e, ok := errors.AsType[*lostError](err); ok {
		return jobs.JobError{Code: jobs.CodeUnreadable, Message: e.Error()}
	}
	return jobs.JobError{}
}
