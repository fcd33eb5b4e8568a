package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	week = 7 * 24 * time.Hour
	// weeksAhead is for how many weeks after the running one partitions exist.
	// It is far more than the time between two calls of Maintain.
	weeksAhead = 4
)

// partitioned lists the tables that have a partition for each week.
func partitioned() []string { return append(partitionedByJob(), partitionedByDelivery()...) }

// partitionedByJob lists those with a week's jobs and what they have.
func partitionedByJob() []string { return []string{"requests", "results", "jobs", "calls", "events"} }

// partitionedByDelivery lists those with what is kept of a week's events being sent.
func partitionedByDelivery() []string {
	return []string{"deliveries", "delivery_bodies", "delivery_attempts"}
}

// floorID returns the least id a UUIDv7 made at t can be.
func floorID(t time.Time) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(max(t.UnixMilli(), 0))<<16)
	return id
}

// partition is a table for the rows of one week.
type partition struct {
	name, parent string
	start        time.Time
}

// makePartitions makes the partitions of the week before now, for ids of clocks
// that are behind, of now's, and of the weeks ahead. Those that exist are left
// alone. A week for which the default partition holds rows already stays there.
func makePartitions(ctx context.Context, conn *pgx.Conn, now time.Time) error {
	missing, err := missingPartitions(ctx, conn, now)
	if err != nil || len(missing) == 0 {
		return err
	}
	for _, table := range partitioned() {
		if err := attachAll(ctx, conn, ofTable(missing, table)); err != nil {
			return fmt.Errorf("partitions of %s: %w", table, err)
		}
	}
	return nil
}

func ofTable(all []partition, table string) []partition {
	return slices.DeleteFunc(slices.Clone(all), func(p partition) bool { return p.parent != table })
}

// attachAll attaches what it can of the partitions of one table.
func attachAll(ctx context.Context, conn *pgx.Conn, missing []partition) error {
	if len(missing) == 0 {
		return nil
	}
	err := attach(ctx, conn, missing)
	if !isCheckViolation(err) {
		return err
	}
	for i := range missing {
		if err := attach(ctx, conn, missing[i:i+1]); err != nil && !isCheckViolation(err) {
			return err
		}
	}
	return nil
}

func missingPartitions(ctx context.Context, conn *pgx.Conn, now time.Time) ([]partition, error) {
	var all []partition
	first := now.UTC().Truncate(week) // a Monday
	for n := -1; n <= weeksAhead; n++ {
		start := first.Add(time.Duration(n) * week)
		for _, table := range partitioned() {
			all = append(all, partition{name: table + "_" + start.Format("20060102"), parent: table, start: start})
		}
	}
	rows, err := conn.Query(ctx, `SELECT n FROM unnest($1::text[]) AS p (n) WHERE to_regclass(n) IS NULL`,
		column(all, func(p partition) string { return p.name }))
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return slices.DeleteFunc(all, func(p partition) bool { return !slices.Contains(names, p.name) }), err
}

// attach makes partitions of one table in one transaction.
func attach(ctx context.Context, conn *pgx.Conn, missing []partition) error {
	var script strings.Builder
	for _, p := range missing {
		fmt.Fprintf(&script, `
			CREATE TABLE IF NOT EXISTS %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
			ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s');`,
			p.name, p.parent, p.parent, p.name, floorID(p.start), floorID(p.start.Add(week)))
	}
	return raced(alter(ctx, conn, script.String()))
}

const (
	// alterTries is how often a table is tried to be had, and alterPause for how
	// long those who waited meanwhile go first.
	alterTries = 8
	alterPause = 100 * time.Millisecond
)

// alter changes the partitions of one table, in a transaction. Never of two:
// others lock the tables in any order, and would wait for one of them in a
// circle with who has the other. It waits for its locks but shortly, several times:
// whoever comes after one that waits for such waits too, and may have the row that
// somebody wants who has the table.
func alter(ctx context.Context, conn *pgx.Conn, script string) error {
	const begin = `
		BEGIN; SET LOCAL lock_timeout = '200ms'; SET LOCAL statement_timeout = '3s';
		SELECT pg_advisory_xact_lock(%d);`
	script = fmt.Sprintf(begin, int64(migrationLock)+1) + script + "COMMIT;"
	for n := 1; ; n++ {
		_, err := conn.PgConn().Exec(ctx, script).ReadAll()
		if err == nil {
			return nil
		}
		rollback(ctx, conn)
		if n == alterTries || !isLockTimeout(err) {
			return err
		}
		if err := wait(ctx, alterPause); err != nil {
			return err
		}
	}
}

func isLockTimeout(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "55P03"
}

func isStatementTimeout(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "57014"
}

// raced returns nil when err says that another process has just attached the
// same partitions.
func raced(err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "42809" {
		return nil
	}
	return err
}

func isCheckViolation(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "23514"
}
