package postgres

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

const (
	// retainAtOnce is how many jobs one transaction deletes.
	retainAtOnce = 500
	// dropAfter is how old a week's end is at least before its partitions are
	// dropped: until then its jobs may live.
	dropAfter = jobs.MaxTimeout + 24*time.Hour
)

// Retain deletes what is past its retention: see [jobs.ControlStore]. What is
// past everybody's goes by the week, with its partitions, which costs the same
// however much it was; what is only some tenants' is deleted row by row, and so
// is all when the default is shorter than a week can be dropped after.
func (s *Store) Retain(ctx context.Context, r jobs.Retention, now time.Time) (int, error) {
	if err := s.retainBatches(ctx, r, now); err != nil {
		return 0, err
	}
	var deleted int
	before := map[string]time.Time{}
	for tenant, keep := range r.Tenants {
		before[tenant] = now.Add(-keep)
	}
	if r.Default != 0 && r.Default < dropAfter+week {
		before[""] = now.Add(-r.Default)
	}
	for _, tenant := range slices.Sorted(maps.Keys(before)) {
		n, err := s.deleteBefore(ctx, "jobs", tenant, before[tenant])
		if deleted += n; err != nil {
			return deleted, err
		}
	}
	if r.Default == 0 {
		return deleted, nil
	}
	cutoff := now.Add(-max(r.Default, dropAfter))
	if err := s.dropWeeks(ctx, cutoff); err != nil {
		return deleted, err
	}
	n, err := s.deleteBefore(ctx, "jobs_default", "", cutoff)
	return deleted + n, errors.Join(err, s.deleteStrays(ctx, cutoff))
}

// deleteBefore deletes from a table of jobs the ended ones of a tenant, or of
// all for the empty one, that were made before the given time.
func (s *Store) deleteBefore(ctx context.Context, table, tenant string, before time.Time) (deleted int, err error) {
	list := `SELECT id FROM ` + table + ` WHERE id > $1 AND id < $2 AND status <> 'queued' ORDER BY id LIMIT $3`
	args := []any{uuid.Nil, floorID(before), retainAtOnce}
	if tenant != "" {
		list = strings.Replace(list, "ORDER", "AND tenant = $4 ORDER", 1)
		args = append(args, tenant)
	}
	for {
		var ids []uuid.UUID
		err := s.write(ctx, "delete what is past its retention", func(ctx context.Context, t *txn) error {
			ids = nil
			t.each(appendID(&ids), list, args...)
			if err := t.flush(ctx); err != nil || len(ids) == 0 {
				return err
			}
			executions, err := lockData(ctx, t, ids)
			if err != nil {
				return err
			}
			t.exec(`SELECT FROM jobs WHERE id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE`, ids)
			deleteJobs(t, ids, executions)
			return nil
		})
		if deleted += len(ids); err != nil || len(ids) < retainAtOnce {
			return deleted, err
		}
		args[0] = ids[len(ids)-1]
	}
}

// deleteStrays deletes from the default partitions what no job is served by any
// more, data of odd clocks and what was moved there when its week was dropped, and
// forgets what all jobs that are left have dropped.
func (s *Store) deleteStrays(ctx context.Context, before time.Time) error {
	const list = `
		SELECT d.execution_id FROM requests_default d
		WHERE d.execution_id > $1 AND d.execution_id < $2
			AND NOT EXISTS (SELECT FROM jobs j
				WHERE j.execution_id = d.execution_id AND (j.dropped_at IS NULL OR d.body = ''))
			AND NOT EXISTS (SELECT FROM jobs j
				WHERE j.answer_of = d.execution_id AND (j.dropped_at IS NULL OR d.body = ''))
		ORDER BY d.execution_id LIMIT $3`
	for after := uuid.Nil; ; {
		var ids []uuid.UUID
		err := s.write(ctx, "delete what nobody has", func(ctx context.Context, t *txn) error {
			ids = nil
			t.each(appendID(&ids), list, after, floorID(before), retainAtOnce)
			if err := t.flush(ctx); err != nil || len(ids) == 0 {
				return err
			}
			for _, table := range []string{"requests", "results"} {
				t.exec(`SELECT FROM `+table+` WHERE execution_id = ANY ($1::uuid[]) ORDER BY execution_id FOR UPDATE`, ids)
			}
			deleteJobs(t, nil, ids)
			return nil
		})
		if err != nil || len(ids) < retainAtOnce {
			return err
		}
		after = ids[len(ids)-1]
	}
}
