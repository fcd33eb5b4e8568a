package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// deleteDeliveries queues the deletion of what was sent of jobs, or is to be. The job is
// locked by whoever calls: nobody makes anything of it pending meanwhile. What is pending
// is locked first, so that whoever keeps a body of it has done so.
//
// The statement does not say that ids are not below [oldestDelivery], though that would
// spare the weeks before: of a week that was empty when it was planned it would read all.
func deleteDeliveries(t *txn, jobs []uuid.UUID) {
	if len(jobs) == 0 {
		return
	}
	const lock = `
		SELECT FROM pending_deliveries WHERE job_id = ANY ($1::uuid[]) ORDER BY endpoint_id, id FOR UPDATE`
	const forget = `
		WITH unsent AS (
			DELETE FROM pending_deliveries WHERE job_id = ANY ($1::uuid[]) RETURNING id
		), sent AS (
			DELETE FROM deliveries WHERE job_id = ANY ($1) RETURNING id
		), gone AS MATERIALIZED (
			SELECT id FROM unsent UNION ALL SELECT id FROM sent
		), bodies AS (
			DELETE FROM delivery_bodies WHERE delivery_id = ANY (ARRAY (SELECT id FROM gone))
		)
		DELETE FROM delivery_attempts WHERE delivery_id = ANY (ARRAY (SELECT id FROM gone))`
	t.exec(lock, jobs)
	t.exec(forget, jobs)
}

// oldestDelivery returns the least id of a delivery of the jobs. An event is not older
// than its job, but for the difference of two clocks.
func oldestDelivery(jobs []uuid.UUID) uuid.UUID {
	first := slices.MinFunc(jobs, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return floorID(timeOf(first).Add(-time.Hour))
}

// timeOf returns the milliseconds that an id begins with.
func timeOf(id uuid.UUID) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) >> 16))
}

// ForgetDeliveries deletes what is past its retention: see [delivery.CourierStore]. It
// goes by the week, with its partitions; what is of no week goes row by row.
func (s *Store) ForgetDeliveries(ctx context.Context, before time.Time) error {
	var weeks map[time.Time][]string
	err := s.onConn(ctx, "list weeks of deliveries", func(ctx context.Context, conn *pgx.Conn) (err error) {
		weeks, err = weeksBefore(ctx, conn, partitionedByDelivery(), before)
		return err
	})
	if err != nil {
		return err
	}
	for _, start := range slices.SortedFunc(maps.Keys(weeks), time.Time.Compare) {
		if err := s.dropWeekOfDeliveries(ctx, start, ``); err != nil {
			return err
		}
	}
	if err := s.forgetStrays(ctx, before); err != nil {
		return err
	}
	return s.write(ctx, "forget events and replays", func(_ context.Context, t *txn) error {
		t.exec(`DELETE FROM webhook_events WHERE created_at < $1
			AND (SELECT true FROM pending_deliveries p WHERE p.event_id = webhook_events.id AND p.job_id IS NULL LIMIT 1) IS NULL`, before)
		t.exec(`DELETE FROM webhook_replays WHERE finished_at < $1 AND NOT open`, before)
		return nil
	})
}

// dropDeliveriesOf forgets what was sent of a week's jobs, which are going, or is to be. What
// tells of no job stays for as long as it is kept.
func (s *Store) dropDeliveriesOf(ctx context.Context, start time.Time) error {
	if err := s.deleteInChunks(ctx, "forget what is to be sent of a week's jobs", `
		DELETE FROM pending_deliveries WHERE ctid = ANY (ARRAY (
			SELECT ctid FROM pending_deliveries WHERE job_id >= $1 AND job_id < $2 ORDER BY job_id LIMIT $3 FOR UPDATE SKIP LOCKED))`,
		floorID(start), floorID(start.Add(week))); err != nil {
		return err
	}
	if err := s.dropWeekOfDeliveries(ctx, start, `
		UNION ALL SELECT id FROM deliveries WHERE job_id IS NULL AND id >= '%[1]s' AND id < '%[2]s'`); err != nil {
		return err
	}
	return s.deleteInChunks(ctx, "forget what was sent of a week's jobs later", `
		WITH gone AS (
			DELETE FROM deliveries WHERE id = ANY (ARRAY (
				SELECT id FROM deliveries WHERE job_id >= $1 AND job_id < $2 ORDER BY job_id LIMIT $3))
			RETURNING id
		), bodies AS (
			DELETE FROM delivery_bodies WHERE delivery_id = ANY (ARRAY (SELECT id FROM gone))
		), attempts AS (
			DELETE FROM delivery_attempts WHERE delivery_id = ANY (ARRAY (SELECT id FROM gone))
		)
		SELECT FROM gone`, floorID(start), floorID(start.Add(week)))
}

// maxForgotten is how many deliveries one transaction forgets.
const maxForgotten = 2000

// deleteInChunks runs a statement, with how many rows it may take as its last argument,
// until it takes fewer.
func (s *Store) deleteInChunks(ctx context.Context, doing, sql string, args ...any) error {
	for {
		var taken int
		err := s.write(ctx, doing, func(_ context.Context, t *txn) error {
			t.count(&taken, sql, append(slices.Clone(args), maxForgotten)...)
			return nil
		})
		if err != nil || taken < maxForgotten {
			return err
		}
	}
}

// dropWeekOfDeliveries drops a week's finished deliveries, with what only they had. What
// those have that are pending moves to the default partition in the transaction that
// drops the rest; and all that others selects, ids between its arguments, stays.
func (s *Store) dropWeekOfDeliveries(ctx context.Context, start time.Time, others string) error {
	const drop = `
		LOCK TABLE ONLY %[3]s IN ACCESS EXCLUSIVE MODE;
		CREATE TEMP TABLE kept ON COMMIT DROP AS
			SELECT id FROM pending_deliveries WHERE id >= '%[1]s' AND id < '%[2]s'` + "%[6]s" + `;
		ALTER TABLE %[3]s DETACH PARTITION %[3]s_%[5]s;
		INSERT INTO %[3]s SELECT d.* FROM kept JOIN %[3]s_%[5]s d ON d.%[4]s = kept.id;
		DROP TABLE %[3]s_%[5]s;`
	from, to := floorID(start), floorID(start.Add(week))
	if others != "" {
		others = fmt.Sprintf(others, from, to)
	}
	for _, table := range [][2]string{{"delivery_attempts", "delivery_id"}, {"delivery_bodies", "delivery_id"}, {"deliveries", "id"}} {
		script := fmt.Sprintf(drop, from, to, table[0], table[1], start.Format("20060102"), others)
		err := s.onConn(ctx, "drop a week of "+table[0], func(ctx context.Context, conn *pgx.Conn) error {
			if err := alter(ctx, conn, script); !isUndefined(err) { // else it was dropped before, or never made
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

// forgetStrays deletes from the default partitions, where odd clocks and dropped weeks
// leave something.
func (s *Store) forgetStrays(ctx context.Context, before time.Time) error {
	return s.deleteInChunks(ctx, "forget deliveries", `
		WITH gone AS (
			DELETE FROM deliveries_default WHERE id = ANY (ARRAY (SELECT id FROM deliveries_default WHERE id < $1 ORDER BY id LIMIT $2))
			RETURNING id
		), bodies AS (
			DELETE FROM delivery_bodies WHERE delivery_id = ANY (ARRAY (SELECT id FROM gone))
		), attempts AS (
			DELETE FROM delivery_attempts WHERE delivery_id = ANY (ARRAY (SELECT id FROM gone))
		)
		SELECT FROM gone`, floorID(before))
}
