package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
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
func partitioned() []string { return []string{"requests", "results", "jobs", "calls", "events"} }

// floorID returns the least id a UUIDv7 made at t can be.
func floorID(t time.Time) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(max(t.UnixMilli(), 0))<<16) //nolint:gosec // not negative
	return id
}

// makePartitions makes the partitions of the week before now, for ids of clocks
// that are behind, of now's, and of the weeks ahead. Those that exist are left
// alone. A week for which the default partition holds rows already stays there.
func makePartitions(ctx context.Context, conn *pgx.Conn, now time.Time) error {
	first := now.UTC().Truncate(week) // a Monday
	for n := -1; n <= weeksAhead; n++ {
		start := first.Add(time.Duration(n) * week)
		for _, table := range partitioned() {
			err := makePartition(ctx, conn, table, start)
			if err != nil && !isCheckViolation(err) {
				return fmt.Errorf("make a partition of %s: %w", table, err)
			}
		}
	}
	return nil
}

// makePartition attaches a table that it has made before: that does not block
// those who read and write the others.
func makePartition(ctx context.Context, conn *pgx.Conn, table string, start time.Time) error {
	name := table + "_" + start.Format("20060102")
	var exists bool
	if err := conn.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, name).Scan(&exists); err != nil || exists {
		return err
	}
	script := fmt.Sprintf(`
		BEGIN;
		SELECT pg_advisory_xact_lock(%d);
		CREATE TABLE IF NOT EXISTS %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
		ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s');
		COMMIT;`,
		int64(migrationLock)+1, name, table, table, name, floorID(start), floorID(start.Add(week)))
	_, err := conn.PgConn().Exec(ctx, script).ReadAll()
	if err != nil {
		_, rollback := conn.PgConn().Exec(ctx, "ROLLBACK").ReadAll()
		return errors.Join(raced(err), rollback)
	}
	return nil
}

// raced returns nil when err says that another process has just attached the
// same partition.
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
