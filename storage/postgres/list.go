package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// Jobs lists a tenant's jobs, newest first, without results: see
// [jobs.ReadStore].
func (s *Store) Jobs(ctx context.Context, q jobs.JobQuery) (list []jobs.Job, err error) {
	sql, args, err := listQuery(q, time.Now())
	if err != nil {
		return nil, err
	}
	err = s.bounded(ctx, "list jobs", func(ctx context.Context) error {
		select {
		case s.lists <- struct{}{}:
			defer func() { <-s.lists }()
		case <-ctx.Done():
			return ctx.Err()
		}
		rows, err := s.pool.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (jobs.Job, error) { return scanJob(row, false) })
		return err
	})
	return list, err
}

// conditions collects what a list is filtered by.
type conditions struct {
	terms []string
	args  []any
}

// add adds a term in which $ stands for arg.
func (c *conditions) add(term string, arg any) {
	c.args = append(c.args, arg)
	c.terms = append(c.terms, strings.ReplaceAll(term, "$", fmt.Sprintf("$%d", len(c.args))))
}

// listQuery has a term for each field that is set, so that the few forms lists
// take are prepared each with the plan that suits it.
func listQuery(q jobs.JobQuery, now time.Time) (sql string, args []any, err error) {
	c := conditions{args: []any{now}}
	if q.Batch == uuid.Nil {
		c.add("j.tenant = $", q.Tenant)
	} else {
		c.add("j.batch_id = $", q.Batch)
		c.add("j.tenant || '' = $", q.Tenant) // the tenant's index is not for this
	}
	if q.Before != [16]byte{} {
		c.add("j.id < $", q.Before)
	}
	if q.Priority != nil {
		c.add("j.priority = $", int16(*q.Priority))
	}
	if q.Model != "" {
		c.add("j.model = $", q.Model)
	}
	if !q.CreatedAfter.IsZero() {
		c.add("j.created_at > $", q.CreatedAfter)
	}
	if !q.CreatedBefore.IsZero() {
		c.add("j.created_at < $", q.CreatedBefore)
	}
	if len(q.Metadata) > 0 {
		metadata, err := metadataOf(q.Metadata)
		if err != nil {
			return "", nil, err
		}
		c.add("j.metadata @> convert_from($::bytea, 'UTF8')::jsonb", metadata)
	}
	c.addStatus(q.Status)
	c.args = append(c.args, q.Limit)
	return fmt.Sprintf(`SELECT %s FROM jobs j %s WHERE %s ORDER BY j.id DESC LIMIT $%d`,
		jobColumns, jobTables, strings.Join(c.terms, " AND "), len(c.args)), c.args, nil
}

func (c *conditions) addStatus(status jobs.Status) {
	const running = "(r.worker IS NOT NULL OR q.settling)"
	switch status {
	case "":
	case jobs.StatusQueued:
		c.terms = append(c.terms, "j.status = 'queued' AND "+running+" IS NOT TRUE")
	case jobs.StatusRunning:
		c.terms = append(c.terms, "j.status = 'queued' AND "+running)
	default:
		c.add("j.status = $", string(status))
	}
}
