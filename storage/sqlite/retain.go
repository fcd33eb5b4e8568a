package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// retainAtOnce is how many jobs one transaction deletes: few, so that other
// writes come in between.
const retainAtOnce = 100

// expired is a job or a batch that is past its retention.
type expired struct {
	id     uuid.UUID
	tenant string
}

// Retain deletes what is past its retention: see [jobs.ControlStore].
func (s *Store) Retain(ctx context.Context, r jobs.Retention, now time.Time) (int, error) {
	var deleted int
	for _, tenant := range slices.Sorted(maps.Keys(r.Tenants)) {
		n, err := s.deletePast(ctx, tenant, now.Add(-r.Tenants[tenant]))
		if deleted += n; err != nil {
			return deleted, err
		}
	}
	if r.Default == 0 {
		return deleted, nil
	}
	n, err := s.deletePast(ctx, "", now.Add(-r.Default))
	return deleted + n, err
}

// deletePast deletes batches and jobs, and returns how many jobs.
func (s *Store) deletePast(ctx context.Context, tenant string, before time.Time) (int, error) {
	if err := s.deleteBatchesBefore(ctx, tenant, before); err != nil {
		return 0, err
	}
	return s.deleteBefore(ctx, tenant, before)
}

// deleteBefore deletes the ended jobs of a tenant, or of all for the empty one,
// that were made before the given time.
func (s *Store) deleteBefore(ctx context.Context, tenant string, before time.Time) (deleted int, err error) {
	for after := uuid.Nil; ; {
		list, err := s.endedBefore(ctx, tenant, after, before)
		if err != nil || len(list) == 0 {
			return deleted, err
		}
		after = list[len(list)-1].id
		n, err := change(ctx, s, "delete what is past its retention",
			func(ctx context.Context, t *statements) (n int, err error) {
				for _, j := range list {
					switch err := deleteJob(ctx, t, j.tenant, j.id); {
					case err == nil:
						n++
					case !isGone(err):
						return 0, err
					}
				}
				return n, nil
			})
		if deleted += n; err != nil {
			return deleted, err
		}
	}
}

func (s *Store) endedBefore(ctx context.Context, tenant string, after uuid.UUID, before time.Time) ([]expired, error) {
	const ofAll = `
		SELECT id, tenant FROM jobs WHERE id > ?1 AND id < ?2 AND status <> 'queued' ORDER BY id LIMIT +?3`
	const ofOne = `
		SELECT id, tenant FROM jobs WHERE id > ?1 AND id < ?2 AND status <> 'queued' AND tenant = ?4
		ORDER BY id LIMIT +?3`
	query, args := ofAll, []any{id(after), id(floorID(before)), retainAtOnce}
	if tenant != "" {
		query, args = ofOne, append(args, tenant)
	}
	return read(ctx, s, "list what is past its retention",
		func(ctx context.Context, q *statements) ([]expired, error) {
			return all(ctx, q, scanExpired, query, args...)
		})
}

func scanExpired(row scanner) (e expired, err error) { return e, row.Scan(&e.id, &e.tenant) }

// floorID returns the least id a UUIDv7 made at t can be.
func floorID(t time.Time) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(max(t.UnixMilli(), 0))<<16)
	return id
}

// isGone reports whether a job was deleted, or is live, by now.
func isGone(err error) bool { return errors.Is(err, jobs.ErrNotFound) || errors.Is(err, jobs.ErrLive) }
