package sqlite

import (
	"context"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/group"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

var errClosed = errors.New("the store is closed")

// unavailable wraps err as a failure to use the file.
func unavailable(doing string, err error) error {
	return jobs.Unavailable(fmt.Errorf("%s: %w", doing, err))
}

func isUnavailable(err error) bool {
	return errors.Is(err, &jobs.Error{Code: jobs.CodeStoreUnavailable})
}

// fail turns an error into one that a caller can act on. What the core knows
// passes as it is; what says that the file cannot be used is unavailability;
// the rest says what was tried.
func (s *Store) fail(ctx context.Context, doing string, err error) error {
	if isCore(err) {
		return err
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %w", doing, context.Canceled)
	}
	if isStatementAtFault(err) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if _, ok := errors.AsType[*sqlite.Error](err); ok || s.isClosed() ||
		errors.Is(err, group.ErrClosed) || errors.Is(err, context.DeadlineExceeded) {
		return unavailable(doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func (s *Store) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// isCore reports whether err is one the caller was promised.
func isCore(err error) bool {
	if _, ok := errors.AsType[*jobs.Error](err); ok {
		return true
	}
	for _, known := range []error{
		jobs.ErrStale, jobs.ErrProlonged, ErrNewerSchema, ErrOlderSchema,
		delivery.ErrTooMany, delivery.ErrChanged, delivery.ErrDisabled,
		batches.ErrNotHeld, batches.ErrStatus,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// isStatementAtFault reports whether SQLite refused a statement, rather than
// failed to carry it out. Its messages name tables and columns, never values.
func isStatementAtFault(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	switch e.Code() & 0xff { // the primary result code
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH,
		sqlite3.SQLITE_RANGE, sqlite3.SQLITE_MISUSE:
		return true
	default:
		return false
	}
}
