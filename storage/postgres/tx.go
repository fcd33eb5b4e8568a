package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// maxAttempts bounds how often a transaction is tried that the database broke
// off for the sake of another. One lock order makes that rare; this is the net.
const maxAttempts = 5

// txn is one transaction on one connection. Statements are queued and go out
// together at the next flush, or with the commit: a transaction that has
// nothing to look at in between is one round trip.
type txn struct {
	conn  *pgx.Conn
	batch *pgx.Batch
}

// exec queues a statement whose answer does not matter.
func (t *txn) exec(sql string, args ...any) { t.batch.Queue(sql, args...) }

// each queues a query. row is called for each of its rows, at the flush.
func (t *txn) each(row func(rows pgx.Rows) error, sql string, args ...any) {
	t.batch.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := row(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// count queues a statement; n is how many rows it was about, at the flush.
func (t *txn) count(n *int, sql string, args ...any) {
	t.batch.Queue(sql, args...).Exec(func(tag pgconn.CommandTag) error {
		*n = int(tag.RowsAffected())
		return nil
	})
}

// flush sends what is queued and reads all answers.
func (t *txn) flush(ctx context.Context) error {
	batch := t.batch
	t.batch = &pgx.Batch{}
	return t.conn.SendBatch(ctx, batch).Close()
}

// commit sends what is queued and the commit with it. When its answer is lost
// nobody knows whether it took place.
func (t *txn) commit(ctx context.Context) error {
	t.exec("COMMIT")
	return t.flush(ctx)
}

// write runs do in a transaction and commits it, unless do fails. do may run
// more than once: it keeps nothing from an earlier run. doing says what is
// tried, for the error.
func (s *Store) write(ctx context.Context, doing string, do func(ctx context.Context, t *txn) error) error {
	return s.bounded(ctx, doing, func(ctx context.Context) error {
		var err error
		for attempt := range maxAttempts {
			if err = s.transact(ctx, do); !isBrokenOff(err) {
				return err
			}
			pause := rand.N(5 * time.Millisecond << attempt) //nolint:gosec // spreads retries, guards nothing
			if err := wait(ctx, pause); err != nil {
				return err
			}
		}
		return err
	})
}

func (s *Store) transact(ctx context.Context, do func(ctx context.Context, t *txn) error) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // closes a connection that is still in a transaction
	t := &txn{conn: conn.Conn(), batch: &pgx.Batch{}}
	t.exec("BEGIN")
	if err = do(ctx, t); err == nil {
		err = t.commit(ctx)
	}
	if err != nil {
		rollback(ctx, conn.Conn())
	}
	return err
}

// rollback ends the transaction, if one is open, so that the connection can be
// used again. A connection on which that fails is thrown away.
func rollback(ctx context.Context, conn *pgx.Conn) {
	if conn.IsClosed() || conn.PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
		_ = conn.Close(ctx)
	}
}

// bounded runs do within the store's timeout. doing says what is tried, for the
// error.
func (s *Store) bounded(ctx context.Context, doing string, do func(ctx context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return fail(ctx, doing, do(bounded))
}

// isBrokenOff reports whether the database rolled the transaction back for the
// sake of another: a deadlock or a serialization failure. Nothing is kept.
func isBrokenOff(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == "40001" || pg.Code == "40P01")
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
