package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// dropWeeks drops the partitions of the weeks that ended before the given time,
// the oldest first. A week in which something was made that still lives is not
// dropped, nor are those after it.
func (s *Store) dropWeeks(ctx context.Context, before time.Time) error {
	var weeks map[time.Time][]string
	err := s.onConn(ctx, "list weeks", func(ctx context.Context, conn *pgx.Conn) (err error) {
		weeks, err = weeksBefore(ctx, conn, partitionedByJob(), before)
		return err
	})
	if err != nil {
		return err
	}
	for _, start := range slices.SortedFunc(maps.Keys(weeks), time.Time.Compare) {
		live, err := s.livesBefore(ctx, start.Add(week))
		if live || err != nil {
			return err
		}
		if err := s.endWeek(ctx, start, weeks[start]); err != nil {
			return err
		}
	}
	return nil
}

// onConn runs do on one connection, within the store's timeout.
func (s *Store) onConn(ctx context.Context, doing string, do func(ctx context.Context, conn *pgx.Conn) error) error {
	return s.bounded(ctx, doing, func(ctx context.Context) error {
		conn, err := s.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		return do(ctx, conn.Conn())
	})
}

// weeksBefore returns which of the tables have a partition for each week that ended
// before the given time.
func weeksBefore(ctx context.Context, conn *pgx.Conn, tables []string, before time.Time) (map[time.Time][]string, error) {
	const query = `
		SELECT inhparent::regclass::text, to_date(right(inhrelid::regclass::text, 8), 'YYYYMMDD') FROM pg_inherits
		WHERE inhparent = ANY ($1::regclass[]) AND inhrelid::regclass::text ~ '_[0-9]{8}$'`
	rows, err := conn.Query(ctx, query, tables)
	if err != nil {
		return nil, err
	}
	weeks := map[time.Time][]string{}
	var table string
	var start time.Time
	_, err = pgx.ForEachRow(rows, []any{&table, &start}, func() error {
		if !start.Add(week).After(before) {
			weeks[start] = append(weeks[start], table)
		}
		return nil
	})
	return weeks, err
}

// livesBefore reports whether an execution lives that was made before the given
// time, or by a clock that is a little ahead.
func (s *Store) livesBefore(ctx context.Context, before time.Time) (live bool, err error) {
	const query = `SELECT EXISTS (SELECT FROM queue WHERE id < $1)`
	err = s.bounded(ctx, "see whether a week is over", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, query, floorID(before.Add(time.Hour))).Scan(&live)
	})
	return live, err
}

// maxMoved is how many executions of a week later jobs may be served by when it
// is dropped: they are moved while everybody waits.
const maxMoved = 5000

// endWeek drops a week, or if too much of it is still served by, deletes its jobs
// row by row. Then it is dropped later, when those that are served are gone.
func (s *Store) endWeek(ctx context.Context, start time.Time, tables []string) error {
	const query = `
		SELECT count(*) FROM (
			SELECT execution_id FROM jobs WHERE id >= $2 AND execution_id >= $1 AND execution_id < $2
			UNION SELECT answer_of FROM jobs WHERE id >= $2 AND answer_of >= $1 AND answer_of < $2
			LIMIT $3) AS kept`
	var kept int
	err := s.bounded(ctx, "count what a week still serves", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, query, floorID(start), floorID(start.Add(week)), maxMoved+1).Scan(&kept)
	})
	if err != nil {
		return err
	}
	if kept <= maxMoved {
		return s.dropWeek(ctx, start, tables)
	}
	_, err = s.deleteBefore(ctx, "jobs", "", start.Add(week))
	return err
}

// dropWeek drops a week's jobs, and then what only they had: the results first, so
// that nobody is given a copy of one whose request is going. What a later job is
// served by, for it attached or was given a copy, moves to the default partition
// in the transaction that drops the rest: nobody sees it missing. What was sent of the
// jobs goes before all.
func (s *Store) dropWeek(ctx context.Context, start time.Time, tables []string) error {
	const drop = `
		ALTER TABLE %[1]s DETACH PARTITION %[1]s_%[2]s;
		DROP TABLE %[1]s_%[2]s;`
	const dropButKept = `
		LOCK TABLE ONLY %[1]s IN ACCESS EXCLUSIVE MODE;
		CREATE TEMP TABLE kept ON COMMIT DROP AS
			SELECT execution_id AS id FROM jobs WHERE execution_id >= '%[3]s' AND execution_id < '%[4]s'
			UNION SELECT answer_of FROM jobs WHERE answer_of >= '%[3]s' AND answer_of < '%[4]s';
		ALTER TABLE %[1]s DETACH PARTITION %[1]s_%[2]s;
		INSERT INTO %[1]s SELECT d.* FROM kept JOIN %[1]s_%[2]s d ON d.execution_id = kept.id;
		DROP TABLE %[1]s_%[2]s;`
	if err := s.dropDeliveriesOf(ctx, start); err != nil {
		return err
	}
	suffix := start.Format("20060102")
	for _, table := range []string{"jobs", "events", "results", "requests", "calls"} {
		if !slices.Contains(tables, table) {
			continue
		}
		script := fmt.Sprintf(drop, table, suffix)
		if table != "jobs" && table != "events" {
			script = fmt.Sprintf(dropButKept, table, suffix, floorID(start), floorID(start.Add(week)))
		}
		err := s.onConn(ctx, "drop a week of "+table, func(ctx context.Context, conn *pgx.Conn) error {
			if err := alter(ctx, conn, script); !isUndefined(err) { // else another process has dropped it
				return err
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
