// Package tenantkey says what a store keeps about the keys that tenants' data
// is sealed with. A store sees keys only wrapped and makes nothing of them;
// package sealed does.
package tenantkey

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Key is one data key of a tenant, wrapped. Times are UTC with microseconds.
type Key struct {
	ID     uuid.UUID
	Tenant string
	// Wrapped is the key under the secret that KEK names; empty once erased.
	Wrapped []byte
	// KEK names the secret, and does not tell it.
	KEK       string
	CreatedAt time.Time
	// RetiredAt is when nothing new was sealed with it any more; zero while it is
	// its tenant's active key.
	RetiredAt time.Time
	// ErasedAt is when its data became unreadable; zero if it is not. What is
	// left of the key is the record that it was.
	ErasedAt time.Time
}

// ErrNoKey says that there is no such key.
var ErrNoKey = errors.New("there is no such key")

// Store keeps keys beside jobs. It is safe for use by many goroutines, and each
// method but Erase is one transaction. Failure to reach the database is a
// *[jobs.Error] with code [jobs.CodeStoreUnavailable].
type Store interface {
	// ActiveKey returns the key that a tenant's data is sealed with now, or
	// [ErrNoKey].
	ActiveKey(ctx context.Context, tenant string) (Key, error)
	// KeyByID returns any key that ever was, or [ErrNoKey].
	KeyByID(ctx context.Context, id uuid.UUID) (Key, error)
	// AddKey makes k its tenant's active key. The active key that replaces names
	// is retired by it. When another key is active, which is nobody's fault, k is
	// not kept. It returns the key that is active then.
	AddKey(ctx context.Context, k Key, replaces uuid.UUID) (Key, error)
	// KEKs lists the secrets under which keys are wrapped.
	KEKs(ctx context.Context) ([]string, error)
	// KeysNotUnder lists up to limit keys that are wrapped under another secret,
	// in the order of their ids, which are after the given one.
	KeysNotUnder(ctx context.Context, kek string, after uuid.UUID, limit int) ([]Key, error)
	// RewrapKey keeps k's Wrapped and KEK in place of those under from. It reports
	// false, and changes nothing, when the key is not wrapped under from.
	RewrapKey(ctx context.Context, k Key, from string) (bool, error)
	// Erase forgets all keys of a tenant, and ends as failed, for the given
	// reason, what lives and can be read by none: its runs are stale. Afterwards
	// no answer is kept of a request that lived when it was called, and none is
	// copied that was there. It is many transactions; one that failed is repeated
	// by calling it again.
	Erase(ctx context.Context, tenant string, at time.Time, why jobs.JobError) (Erased, error)
}

// Erased is what an erasure did.
type Erased struct {
	Keys int
	// Before counts the keys that had been erased already.
	Before int
	// Executions counts those that were ended.
	Executions int
	// Ended lists their jobs.
	Ended []uuid.UUID
}
