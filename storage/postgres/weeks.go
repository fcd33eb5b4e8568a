package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// dropWeeks drops the partitions of the weeks that ended before the given time,
// the oldest first. A week in which something was made that still lives is not
// dropped, nor are those after it.
func (s *Store) dropWeeks(ctx context.Context, before time.Time) error {
	var weeks map[time.Time][]string
	err := s.onConn(ctx, "list weeks", func(ctx context.Context, conn *pgx.Conn) (err error) {
		weeks, err = weeksBefore(ctx, conn, before)
		return err
	})
	if err != nil {
		return err
	}
	for _, start := range slices.SortedFunc(maps.Keys(weeks), time.Time.Compare) {
		var live bool
		doing := "drop the week of " + start.Format(time.DateOnly)
		err := s.onConn(ctx, doing, func(ctx context.Context, conn *pgx.Conn) (err error) {
			if live, err = livesBefore(ctx, conn, start.Add(week)); live || err != nil {
				return err
			}
			return dropWeek(ctx, conn, start, weeks[start])
		})
		if live || err != nil {
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

// weeksBefore returns which tables have a partition for each week that ended
// before the given time.
func weeksBefore(ctx context.Context, conn *pgx.Conn, before time.Time) (map[time.Time][]string, error) {
	const query = `
		SELECT inhparent::regclass::text, to_date(right(inhrelid::regclass::text, 8), 'YYYYMMDD') FROM pg_inherits
		WHERE inhparent = ANY ($1::regclass[]) AND inhrelid::regclass::text ~ '_[0-9]{8}$'`
	rows, err := conn.Query(ctx, query, partitioned())
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
func livesBefore(ctx context.Context, conn *pgx.Conn, before time.Time) (live bool, err error) {
	const query = `SELECT EXISTS (SELECT FROM queue WHERE id < $1)`
	return live, conn.QueryRow(ctx, query, floorID(before.Add(time.Hour))).Scan(&live)
}

// dropWeek drops a week's jobs, and then what only they had. What a later job is
// served by, for it attached or was given a copy, moves to the default partition
// in the transaction that drops the rest: nobody sees it missing. It waits for
// its locks but shortly: whoever comes after one that waits for such, waits too.
func dropWeek(ctx context.Context, conn *pgx.Conn, start time.Time, tables []string) error {
	const begin = `
		BEGIN; SET LOCAL lock_timeout = '500ms'; SET LOCAL statement_timeout = '20s';
		SELECT pg_advisory_xact_lock(%d);`
	const keep = `
		CREATE TEMP TABLE kept ON COMMIT DROP AS
			SELECT execution_id AS id FROM jobs WHERE execution_id >= '%[1]s' AND execution_id < '%[2]s'
			UNION SELECT answer_of FROM jobs WHERE answer_of >= '%[1]s' AND answer_of < '%[2]s';`
	const drop = `
		ALTER TABLE %[1]s DETACH PARTITION %[1]s_%[2]s;
		%[3]s
		DROP TABLE %[1]s_%[2]s;`
	var ofJobs, ofExecutions strings.Builder
	fmt.Fprintf(&ofJobs, begin, int64(migrationLock)+1)
	fmt.Fprintf(&ofExecutions, begin, int64(migrationLock)+1)
	fmt.Fprint(&ofExecutions, `LOCK TABLE requests, results, calls IN ACCESS EXCLUSIVE MODE;`)
	fmt.Fprintf(&ofExecutions, keep, floorID(start), floorID(start.Add(week)))
	suffix := start.Format("20060102")
	for _, table := range tables {
		if table == "jobs" || table == "events" {
			fmt.Fprintf(&ofJobs, drop, table, suffix, "")
			continue
		}
		fmt.Fprintf(&ofExecutions, drop, table, suffix, fmt.Sprintf(
			`INSERT INTO %[1]s SELECT d.* FROM kept JOIN %[1]s_%[2]s d ON d.execution_id = kept.id;`, table, suffix))
	}
	for _, script := range []string{ofJobs.String(), ofExecutions.String()} {
		if _, err := conn.PgConn().Exec(ctx, script+"COMMIT;").ReadAll(); err != nil {
			rollback(ctx, conn)
			return err
		}
	}
	return nil
}
