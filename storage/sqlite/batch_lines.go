package sqlite

import (
	"context"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
)

// lineColumns are those of a line l: see scanLineAnd.
const (
	lineColumns = `
		l.n, l.custom_id, l.at_byte, l.length, l.hash, l.repeats, l.state, l.round, l.attempt, l.job_id, l.code, l.seq`
	selectLine = `SELECT ` + lineColumns + ` FROM batch_lines l `
)

func scanLine(row scanner) (batches.Line, error) { return scanLineAnd(row) }

// scanLineAnd reads a line and what stands behind it.
func scanLineAnd(row scanner, more ...any) (batches.Line, error) {
	var l batches.Line
	var hash, job []byte
	err := row.Scan(append([]any{
		&l.N, &l.CustomID, &l.Offset, &l.Length, &hash, &l.Repeat, &l.State, &l.Round, &l.Attempt, &job, &l.Code, &l.Seq,
	}, more...)...)
	copy(l.Hash[:], hash)
	copy(l.Job[:], job)
	return l, err
}

// AppendLines keeps lines that were read: see [batches.KeeperStore].
func (s *Store) AppendLines(
	ctx context.Context, holder, batch uuid.UUID, from, to batches.Cursor, lines []batches.Line,
) error {
	_, err := change(ctx, s, "append lines", func(ctx context.Context, t *statements) (struct{}, error) {
		b, err := heldBatch(ctx, t, holder, batch)
		if err != nil {
			return struct{}{}, err
		}
		if b.Read != from {
			return struct{}{}, batches.ErrNotHeld
		}
		for _, l := range lines {
			if err := insertLine(ctx, t, batch, l); err != nil {
				return struct{}{}, err
			}
		}
		_, err = t.exec(ctx, `
			UPDATE batches SET lines_read = ?1, bytes_read = ?2, total = total + ?3, pending = pending + ?3 WHERE id = ?4`,
			to.Lines, to.Bytes, len(lines), id(batch))
		return struct{}{}, err
	})
	return err
}

func insertLine(ctx context.Context, t *statements, batch uuid.UUID, l batches.Line) error {
	_, err := t.exec(ctx, `
		INSERT INTO batch_lines (batch_id, n, custom_id, at_byte, length, hash, repeats) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		id(batch), l.N, l.CustomID, l.Offset, l.Length, l.Hash[:], l.Repeat)
	return err
}

// Lines lists lines: see [batches.KeeperStore].
func (s *Store) Lines(ctx context.Context, batch uuid.UUID, after, limit int) ([]batches.Line, error) {
	return s.lines(ctx, "list lines", `WHERE l.batch_id = ? AND l.n > ? ORDER BY l.n LIMIT +?`, id(batch), after, limit)
}

// PendingLines lists pending lines: see [batches.KeeperStore].
func (s *Store) PendingLines(ctx context.Context, batch uuid.UUID, limit int) ([]batches.Line, error) {
	return s.lines(ctx, "list pending lines", `
		INDEXED BY batch_lines_pending WHERE l.batch_id = ? AND l.state = 'pending' ORDER BY l.n LIMIT +?`, id(batch), limit)
}

// LiveLines lists lines that are live or withdrawn: see [batches.KeeperStore].
func (s *Store) LiveLines(ctx context.Context, batch uuid.UUID, after, limit int) ([]batches.Line, error) {
	return s.lines(ctx, "list live lines", `
		INDEXED BY batch_lines_live WHERE l.batch_id = ? AND l.state IN ('live', 'withdrawn') AND l.n > ?
		ORDER BY l.n LIMIT +?`, id(batch), after, limit)
}

func (s *Store) lines(ctx context.Context, doing, where string, args ...any) ([]batches.Line, error) {
	return read(ctx, s, doing, func(ctx context.Context, q *statements) ([]batches.Line, error) {
		return all(ctx, q, scanLine, selectLine+where, args...)
	})
}

// StartLines notes the jobs of lines: see [batches.KeeperStore].
func (s *Store) StartLines(ctx context.Context, holder, batch uuid.UUID, started []batches.Started) error {
	_, err := change(ctx, s, "start lines", func(ctx context.Context, t *statements) (struct{}, error) {
		b, err := heldBatch(ctx, t, holder, batch)
		if err != nil {
			return struct{}{}, err
		}
		if b.Status != batches.StatusInProgress {
			return struct{}{}, batches.ErrStatus
		}
		var begun int64
		for _, l := range started {
			n, err := t.exec(ctx, `
				UPDATE batch_lines SET state = 'live', job_id = ? WHERE batch_id = ? AND n = ? AND state = 'pending'`,
				id(l.Job), id(batch), l.N)
			if err != nil {
				return struct{}{}, err
			}
			begun += n
		}
		_, err = t.exec(ctx, `UPDATE batches SET pending = pending - ?1, live = live + ?1 WHERE id = ?2`, begun, id(batch))
		return struct{}{}, err
	})
	return err
}

// WithdrawLines notes that jobs are about to be cancelled: see [batches.KeeperStore].
func (s *Store) WithdrawLines(ctx context.Context, holder, batch uuid.UUID, ns []int) error {
	_, err := change(ctx, s, "withdraw lines", func(ctx context.Context, t *statements) (struct{}, error) {
		if _, err := heldBatch(ctx, t, holder, batch); err != nil {
			return struct{}{}, err
		}
		for _, n := range ns {
			_, err := t.exec(ctx, `UPDATE batch_lines SET state = 'withdrawn' WHERE batch_id = ? AND n = ? AND state = 'live'`,
				id(batch), n)
			if err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}
