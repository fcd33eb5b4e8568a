package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// copyResults answers the submissions that a fresh result serves, unless a live
// execution does, and returns the others.
func copyResults(ctx context.Context, t *txn, all []*submission) (open []*submission, err error) {
	willing := slices.DeleteFunc(slices.Clone(all), func(m *submission) bool { return m.MaxAge <= 0 })
	if len(willing) == 0 {
		return all, nil
	}
	found, err := findResults(ctx, t, willing)
	if err != nil || len(found) == 0 {
		return all, err
	}
	copied, err := readResults(ctx, t, found)
	if err != nil {
		return nil, err
	}
	if len(copied) == 0 {
		return all, nil
	}
	if err := insertJobs(t, column(copied, asCopy)); err != nil {
		return nil, err
	}
	insertDrops(t, copied)
	tell(t, column(copied, func(m *submission) told {
		return told{
			tenant: m.Job.Tenant, job: m.Job.ID, status: jobs.StatusSucceeded, at: m.Job.CreatedAt, audience: audienceOf(m.Job),
		}
	}))
	return slices.DeleteFunc(slices.Clone(all), func(m *submission) bool { return slices.Contains(copied, m) }), nil
}

// copyable is which results r may answer other jobs than their execution's own:
// not those that a job was against, or that were sealed with a key erased since.
const copyable = `
	r.cacheable AND (r.key_id IS NULL OR (SELECT k.erased_at IS NULL FROM tenant_keys k WHERE k.id = r.key_id))`

// findQuery probes the index of each partition that can hold a result.
const findQuery = `
	SELECT c.n, r.execution_id
	FROM unnest($1::text[], $2::text[], $3::boolean[], $4::timestamptz[])
		WITH ORDINALITY AS c (hash, tenant, live_first, after, n)
	CROSS JOIN LATERAL (
		SELECT r.execution_id FROM results r
		WHERE r.hash = c.hash AND r.tenant = c.tenant AND r.finished_at > c.after
			AND r.execution_id >= $5 AND ` + copyable + `
		ORDER BY r.finished_at DESC LIMIT 1
	) r
	LEFT JOIN LATERAL (
		SELECT q.id FROM queue q WHERE q.dedupe_key = c.hash AND q.tenant = c.tenant LIMIT 1
	) live ON c.live_first
	WHERE live.id IS NULL`

// oldestCopy returns the least id of an execution whose result finished after the
// given time. A result is not older than its execution's last deadline, which is
// at most [jobs.MaxTimeout] after the execution was made: that bounds the
// partitions to look into.
func oldestCopy(after time.Time) uuid.UUID {
	const skew = 24 * time.Hour
	return floorID(after.Add(-jobs.MaxTimeout - skew))
}

// findResults returns the execution whose result each submission may copy, if
// there is one.
func findResults(ctx context.Context, t *txn, willing []*submission) (map[*submission]uuid.UUID, error) {
	after := column(willing, func(m *submission) time.Time { return m.Job.CreatedAt.Add(-m.MaxAge) })
	found := map[*submission]uuid.UUID{}
	t.each(func(rows pgx.Rows) error {
		var n int
		var execution uuid.UUID
		if err := rows.Scan(&n, &execution); err != nil {
			return err
		}
		found[willing[n-1]] = execution
		return nil
	}, findQuery,
		column(willing, func(m *submission) string { return m.Job.RequestHash }),
		column(willing, func(m *submission) string { return m.Job.Tenant }),
		column(willing, func(m *submission) bool { return m.Dedupe && !m.CopyFirst }),
		after, oldestCopy(slices.MinFunc(after, time.Time.Compare)))
	return found, t.flush(ctx)
}

// readResults copies the found results into their submissions and returns those
// it did. A result is locked so that it is not deleted before the copy is
// there; one that is gone already is not copied.
func readResults(ctx context.Context, t *txn, found map[*submission]uuid.UUID) ([]*submission, error) {
	const lock = `
		SELECT FROM results WHERE execution_id = ANY ($1::uuid[]) ORDER BY execution_id FOR KEY SHARE`
	const read = `
		SELECT execution_id, body, finished_at, provider,
			input_tokens, output_tokens, cached_tokens, reasoning_tokens
		FROM results WHERE execution_id = ANY ($1::uuid[])`
	wanted := map[uuid.UUID][]*submission{}
	for m, execution := range found {
		wanted[execution] = append(wanted[execution], m)
	}
	ids := idsOf(wanted)
	var copied []*submission
	t.exec(lock, ids)
	t.each(func(rows pgx.Rows) error {
		var execution uuid.UUID
		var body []byte
		var finished time.Time
		var provider string
		var u usage
		if err := rows.Scan(append([]any{&execution, &body, &finished, &provider}, u.into()...)...); err != nil {
			return err
		}
		for _, m := range wanted[execution] {
			j := m.Job
			j.ExecutionID, j.Status, j.Cached = execution, jobs.StatusSucceeded, true
			j.FinishedAt, j.Age = j.CreatedAt, max(j.CreatedAt.Sub(finished), 0)
			j.Provider, j.CostUSD, j.Result = provider, new(jobs.USD), json.RawMessage(body)
			u.fill(&j)
			m.done = jobs.Submitted{Job: j}
			copied = append(copied, m)
		}
		return nil
	}, read, ids)
	return copied, t.flush(ctx)
}

func asCopy(m *submission) jobs.Job { return m.done.Job }
