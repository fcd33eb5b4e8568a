package sqlite

import (
	"context"

	"github.com/penstock-dev/penstock/storage/group"
)

// write is what one caller wants done in a transaction that it may share. When
// it fails, what it did is undone, and nothing else is.
type write func(ctx context.Context, t *statements) (any, error)

// commit runs writes in one transaction, each of several under a savepoint of its own. An
// error means that nothing was kept; it is always unavailability. After a panic
// nothing was kept either. The context never ends: an interrupted statement would
// undo the whole transaction.
func (s *Store) commit(ctx context.Context, writes []write) ([]group.Result[any], error) {
	done := false
	defer func() {
		if !done { // also when a write has panicked
			_, _ = s.writer.exec(ctx, "ROLLBACK") // fails if SQLite has done so by itself
		}
	}()
	results, err := s.transact(ctx, writes)
	if err != nil {
		return nil, unavailable("commit", err)
	}
	done = true
	return results, nil
}

func (s *Store) transact(ctx context.Context, writes []write) ([]group.Result[any], error) {
	if _, err := s.writer.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return nil, err
	}
	if len(writes) == 1 {
		return s.alone(ctx, writes[0])
	}
	results := make([]group.Result[any], len(writes))
	for i, w := range writes {
		var err error
		if results[i], err = s.member(ctx, w); err != nil {
			return nil, err
		}
	}
	_, err := s.writer.exec(ctx, "COMMIT")
	return results, err
}

// alone runs the only write of a transaction, for which the transaction is
// savepoint enough: most writes of a store that is not busy are alone.
func (s *Store) alone(ctx context.Context, w write) ([]group.Result[any], error) {
	value, failure := w(ctx, s.writer)
	end := "COMMIT"
	if failure != nil {
		end = "ROLLBACK"
	}
	_, err := s.writer.exec(ctx, end)
	return []group.Result[any]{{Value: value, Err: failure}}, err
}

// member runs one write of several. Its own failure is in the result; an error means that
// the transaction cannot go on.
func (s *Store) member(ctx context.Context, w write) (group.Result[any], error) {
	if _, err := s.writer.exec(ctx, "SAVEPOINT member"); err != nil {
		return group.Result[any]{}, err
	}
	value, failure := w(ctx, s.writer)
	if failure != nil {
		if _, err := s.writer.exec(ctx, "ROLLBACK TO member"); err != nil {
			return group.Result[any]{}, err
		}
	}
	_, err := s.writer.exec(ctx, "RELEASE member")
	return group.Result[any]{Value: value, Err: failure}, err
}

// change does a write and returns its value once it is durable. doing says what
// is tried, for the error.
func change[R any](
	ctx context.Context, s *Store, doing string, do func(ctx context.Context, t *statements) (R, error),
) (R, error) {
	value, err := s.writes.Do(ctx, func(ctx context.Context, t *statements) (any, error) { return do(ctx, t) })
	if err != nil {
		var none R
		return none, s.fail(ctx, doing, err)
	}
	return value.(R), nil // what the write above returned
}

// read asks what was committed last.
func read[R any](
	ctx context.Context, s *Store, doing string, do func(ctx context.Context, q *statements) (R, error),
) (R, error) {
	select {
	case <-s.closed:
		var none R
		return none, unavailable(doing, errClosed)
	default:
	}
	value, err := do(ctx, s.reader)
	if err != nil {
		var none R
		return none, s.fail(ctx, doing, err)
	}
	return value, nil
}
