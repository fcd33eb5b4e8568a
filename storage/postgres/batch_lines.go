package postgres

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/batches"
)

// lineColumns tell a line l: see scanLineAnd.
const lineColumns = `
	l.n, l.custom_id, l.at_byte, l.length, l.hash, l.repeats, l.state, l.round, l.attempt, l.job_id, l.code, l.seq`

// scanLineAnd reads a line and what stands behind it.
func scanLineAnd(row pgx.CollectableRow, more ...any) (batches.Line, error) {
	var l batches.Line
	var hash []byte
	var job *uuid.UUID
	var code *string
	var seq *int64
	err := row.Scan(append([]any{
		&l.N, &l.CustomID, &l.Offset, &l.Length, &hash, &l.Repeat, &l.State, &l.Round, &l.Attempt, &job, &code, &seq,
	}, more...)...)
	copy(l.Hash[:], hash)
	l.Job, l.Code, l.Seq = orZero(job), orZero(code), orZero(seq)
	return l, err
}

// AppendLines keeps lines that were read: see [batches.KeeperStore].
func (s *Store) AppendLines(
	ctx context.Context, holder, batch uuid.UUID, from, to batches.Cursor, lines []batches.Line,
) error {
	const move = `
		UPDATE batches b SET lines_read = $5, bytes_read = $6, total = total + $7, pending = pending + $7
		WHERE b.id = $1 AND b.holder = $2 AND b.held_until > clock_timestamp() AND b.lines_read = $3 AND b.bytes_read = $4`
	return s.write(ctx, "append lines", func(ctx context.Context, t *txn) error {
		var moved int
		t.count(&moved, move, batch, holder, from.Lines, from.Bytes, to.Lines, to.Bytes, len(lines))
		if err := t.flush(ctx); err != nil {
			return err
		}
		if moved == 0 {
			return batches.ErrNotHeld
		}
		return copyLines(ctx, t, batch, lines)
	})
}

func copyLines(ctx context.Context, t *txn, batch uuid.UUID, lines []batches.Line) error {
	if len(lines) == 0 {
		return nil
	}
	row := make([]any, 7)
	row[0] = batch
	_, err := t.conn.CopyFrom(ctx, pgx.Identifier{"batch_lines"},
		[]string{"batch_id", "n", "custom_id", "at_byte", "length", "hash", "repeats"},
		pgx.CopyFromSlice(len(lines), func(i int) ([]any, error) {
			l := &lines[i]
			row[1], row[2], row[3], row[4], row[5], row[6] = l.N, l.CustomID, l.Offset, l.Length, l.Hash[:], l.Repeat
			return row, nil
		}))
	return err
}

const (
	linesQuery   = `SELECT ` + lineColumns + ` FROM batch_lines l WHERE l.batch_id = $1 AND l.n > $2 ORDER BY l.n LIMIT $3`
	pendingQuery = `SELECT ` + lineColumns + ` FROM batch_lines l WHERE l.pending_of = $1 ORDER BY l.n LIMIT $2`
	liveQuery    = `SELECT ` + lineColumns + ` FROM batch_lines l WHERE l.live_of = $1 AND l.n > $2 ORDER BY l.n LIMIT $3`
)

// Lines lists lines: see [batches.KeeperStore].
func (s *Store) Lines(ctx context.Context, batch uuid.UUID, after, limit int) ([]batches.Line, error) {
	return s.linesBy(ctx, "list lines", linesQuery, batch, after, limit)
}

// PendingLines lists pending lines: see [batches.KeeperStore].
func (s *Store) PendingLines(ctx context.Context, batch uuid.UUID, limit int) ([]batches.Line, error) {
	return s.linesBy(ctx, "list pending lines", pendingQuery, batch, limit)
}

// LiveLines lists lines that are live or withdrawn: see [batches.KeeperStore].
func (s *Store) LiveLines(ctx context.Context, batch uuid.UUID, after, limit int) ([]batches.Line, error) {
	return s.linesBy(ctx, "list live lines", liveQuery, batch, after, limit)
}

func (s *Store) linesBy(ctx context.Context, doing, sql string, args ...any) (list []batches.Line, err error) {
	err = s.bounded(ctx, doing, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (batches.Line, error) { return scanLineAnd(row) })
		return err
	})
	return list, err
}

// StartLines notes the jobs of lines: see [batches.KeeperStore].
func (s *Store) StartLines(ctx context.Context, holder, batch uuid.UUID, started []batches.Started) error {
	const start = `
		WITH begun AS (
			UPDATE batch_lines l SET state = 'live', job_id = v.job_id FROM unnest($2::integer[], $3::uuid[]) AS v (n, job_id)
			WHERE l.batch_id = $1 AND l.n = v.n AND l.n = ANY ($2) AND l.state = 'pending'
			RETURNING 1
		)
		UPDATE batches SET pending = pending - begun.lines, live = live + begun.lines
		FROM (SELECT count(*) AS lines FROM begun) AS begun WHERE id = $1`
	return s.write(ctx, "start lines", func(ctx context.Context, t *txn) error {
		b, err := lockHeldBatch(ctx, t, holder, batch)
		if err != nil {
			return err
		}
		if b.Status != batches.StatusInProgress {
			return batches.ErrStatus
		}
		for some := range slices.Chunk(started, linesAtOnce) {
			t.exec(start, batch, column(some, func(l batches.Started) int { return l.N }),
				column(some, func(l batches.Started) uuid.UUID { return l.Job }))
		}
		return nil
	})
}

// linesAtOnce is how many lines one statement changes: a join of two lists of that length
// is no work.
const linesAtOnce = 250

// WithdrawLines notes that jobs are about to be cancelled: see [batches.KeeperStore].
func (s *Store) WithdrawLines(ctx context.Context, holder, batch uuid.UUID, ns []int) error {
	return s.write(ctx, "withdraw lines", func(ctx context.Context, t *txn) error {
		if _, err := lockHeldBatch(ctx, t, holder, batch); err != nil {
			return err
		}
		t.exec(`UPDATE batch_lines SET state = 'withdrawn' WHERE batch_id = $1 AND n = ANY ($2::integer[]) AND state = 'live'`,
			batch, ns)
		return nil
	})
}
