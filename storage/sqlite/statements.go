package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// database is what [sql.DB] and [sql.Conn] have in common.
type database interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// statements runs SQL on a database. Each text is prepared once: texts are
// constants, so there are only so many. A limit is written LIMIT +?, because
// SQLite plans for the value of a bare parameter there, and would compile the
// statement anew each time it is run.
type statements struct {
	db       database
	mu       sync.Mutex
	prepared map[string]*sql.Stmt
}

func newStatements(db database) *statements {
	return &statements{db: db, prepared: map[string]*sql.Stmt{}}
}

func (q *statements) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if stmt, ok := q.prepared[query]; ok {
		return stmt, nil
	}
	if q.prepared == nil {
		return nil, errClosed
	}
	stmt, err := q.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare a statement: %w", err)
	}
	q.prepared[query] = stmt
	return stmt, nil
}

// exec runs a statement and returns how many rows it changed.
func (q *statements) exec(ctx context.Context, query string, args ...any) (int64, error) {
	stmt, err := q.prepare(ctx, query)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// script runs statements whose text will not come again.
func (q *statements) script(ctx context.Context, query string) error {
	_, err := q.db.ExecContext(ctx, query)
	return err
}

// scanner is a row to read.
type scanner interface{ Scan(into ...any) error }

// failed is a row that could not be asked for.
type failed struct{ err error }

func (f failed) Scan(...any) error { return f.err }

// row returns the one row of a query. Scan answers [sql.ErrNoRows] if there is none.
func (q *statements) row(ctx context.Context, query string, args ...any) scanner {
	stmt, err := q.prepare(ctx, query)
	if err != nil {
		return failed{err}
	}
	return stmt.QueryRowContext(ctx, args...)
}

// all reads every row of a query.
func all[T any](
	ctx context.Context, q *statements, scan func(row scanner) (T, error), query string, args ...any,
) ([]T, error) {
	stmt, err := q.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scan)
}

func collect[T any](rows *sql.Rows, scan func(row scanner) (T, error)) (list []T, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, rows.Err()
}

// found turns the absence of a row into false.
func found(err error) (bool, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (q *statements) close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	var errs []error
	for _, stmt := range q.prepared {
		errs = append(errs, stmt.Close())
	}
	q.prepared = nil
	if conn, ok := q.db.(*sql.Conn); ok {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}
