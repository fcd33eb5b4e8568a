package sqlite

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Jobs lists a tenant's jobs: see [jobs.ReadStore].
func (s *Store) Jobs(ctx context.Context, query jobs.JobQuery) ([]jobs.Job, error) {
	return read(ctx, s, "list jobs", func(ctx context.Context, q *statements) ([]jobs.Job, error) {
		where, args := conditions(query)
		text := selectListed + ` WHERE ` + strings.Join(where, ` AND `) + ` ORDER BY j.id DESC LIMIT +?`
		rows, err := q.db.QueryContext(ctx, text, append(args, query.Limit)...)
		if err != nil {
			return nil, err
		}
		return collect(rows, scanJob)
	})
}

// conditions returns what the listed jobs fulfil, and the arguments of that.
func conditions(query jobs.JobQuery) (where []string, args []any) {
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	if query.Batch == uuid.Nil {
		add(`j.tenant = ?`, query.Tenant)
	} else {
		add(`j.batch_id = ? AND +j.tenant = ?`, id(query.Batch), query.Tenant) // the batch's index is the smaller one
	}
	switch query.Status {
	case "":
	case jobs.StatusQueued:
		add(`j.status = 'queued' AND r.worker IS NULL AND NOT coalesce(q.settling, 0)`)
	case jobs.StatusRunning:
		add(`j.status = 'queued' AND (r.worker IS NOT NULL OR coalesce(q.settling, 0))`)
	default:
		add(`j.status = ?`, string(query.Status))
	}
	if query.Priority != nil {
		add(`j.priority = ?`, int(*query.Priority))
	}
	if query.Model != "" {
		add(`j.model = ?`, query.Model)
	}
	if !query.CreatedAfter.IsZero() {
		add(`j.created_at > ?`, micros(query.CreatedAfter))
	}
	if !query.CreatedBefore.IsZero() {
		add(`j.created_at < ?`, micros(query.CreatedBefore))
	}
	for _, key := range sortedKeys(query.Metadata) {
		add(`EXISTS (SELECT 1 FROM json_each(j.metadata) m WHERE m.key = ? AND m.value = ?)`, key, query.Metadata[key])
	}
	if query.Before != uuid.Nil {
		add(`j.id < ?`, id(query.Before))
	}
	return where, args
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
