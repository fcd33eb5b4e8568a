package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// placement is one execution and the jobs of a batch that it serves.
type placement struct {
	// key is the hash, or the id of an execution that nobody may attach to.
	key, tenant string
	members     []*submission
	// made says that the batch made the execution, for its first member.
	made bool
	// execution and priority are those of the row; priority as it was before
	// this batch.
	execution uuid.UUID
	priority  jobs.Priority
}

// place finds or makes an execution for each submission, and locks it. When one
// that it found ends while it waits for the lock, that is errUnplaced: to look
// again here, with locks in hand, would be to lock out of order.
func place(ctx context.Context, t *txn, open []*submission) ([]*placement, error) {
	all := placements(open)
	if len(all) == 0 {
		return nil, nil
	}
	if err := insertExecutions(ctx, t, all); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(all, func(p *placement) bool { return p.execution == uuid.Nil }) {
		return nil, jobs.Unavailable(errUnplaced)
	}
	return all, nil
}

// placements groups submissions by the execution that serves them, in the order
// in which new rows are inserted.
func placements(open []*submission) []*placement {
	byKey := map[[2]string]*placement{}
	var all []*placement
	for _, m := range open {
		key := m.Job.RequestHash
		if !m.Dedupe {
			key = m.Execution.String()
		}
		p := byKey[[2]string{key, m.Job.Tenant}]
		if p == nil {
			p = &placement{key: key, tenant: m.Job.Tenant}
			byKey[[2]string{key, m.Job.Tenant}] = p
			all = append(all, p)
		}
		p.members = append(p.members, m)
	}
	slices.SortFunc(all, func(a, b *placement) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.tenant, b.tenant))
	})
	return all
}

// topPriority, deadline, stopAt, noStore and degradable are those of all members together.
func (p *placement) topPriority() jobs.Priority {
	return slices.MinFunc(p.members, func(a, b *submission) int {
		return cmp.Compare(a.Job.Priority, b.Job.Priority)
	}).Job.Priority
}

func (p *placement) deadline() time.Time { return slices.MinFunc(p.members, byDeadline).Job.Deadline }

func (p *placement) stopAt() time.Time { return slices.MaxFunc(p.members, byDeadline).Job.Deadline }

func (p *placement) noStore() bool {
	return slices.ContainsFunc(p.members, func(m *submission) bool { return m.NoStore })
}

func (p *placement) degradable() bool {
	return !slices.ContainsFunc(p.members, func(m *submission) bool { return !m.Degradable() })
}

func byDeadline(a, b *submission) int { return a.Job.Deadline.Compare(b.Job.Deadline) }

// insertExecutions makes the executions that are not there and locks those that
// are. One that was there and is gone when its lock is had stays without an id.
func insertExecutions(ctx context.Context, t *txn, all []*placement) error {
	const insert = `
		INSERT INTO queue (id, tenant, dedupe_key, hash, route, priority, cost, deadline, stop_at, payer_job_id, no_store,
			degradable, use_case)
		SELECT id, tenant, dedupe_key, hash, route, priority, cost, deadline, stop_at, payer_job_id, no_store, degradable,
			use_case
		FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::bigint[],
				$8::timestamptz[], $9::timestamptz[], $10::uuid[], $11::boolean[], $12::boolean[], $13::text[])
			WITH ORDINALITY AS v (id, tenant, dedupe_key, hash, route, priority, cost,
				deadline, stop_at, payer_job_id, no_store, degradable, use_case, n)
		ORDER BY n
		ON CONFLICT (dedupe_key, tenant) DO NOTHING
		RETURNING id`
	// Only what is settled gets another key: whoever waited for it looks again.
	const lock = `
		SELECT q.id, q.dedupe_key, q.tenant, q.priority FROM queue q
		WHERE q.id = ANY (ARRAY (
				SELECT found.id FROM unnest($1::text[], $2::text[]) AS k (dedupe_key, tenant)
				CROSS JOIN LATERAL (
					SELECT q.id FROM queue q WHERE q.dedupe_key = k.dedupe_key AND q.tenant = k.tenant OFFSET 0
				) found))
			AND NOT q.settling AND q.xmin <> pg_current_xact_id()::xid -- not one just made
		ORDER BY q.id FOR NO KEY UPDATE`

	first := func(p *placement) *submission { return p.members[0] }
	byID, byKey := map[uuid.UUID]*placement{}, map[[2]string]*placement{}
	for _, p := range all {
		byID[first(p).Execution], byKey[[2]string{p.key, p.tenant}] = p, p
	}
	ids := column(all, func(p *placement) uuid.UUID { return first(p).Execution })
	tenants := column(all, func(p *placement) string { return p.tenant })
	keys := column(all, func(p *placement) string { return p.key })
	t.each(func(rows pgx.Rows) error {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			return err
		}
		p := byID[id]
		p.execution, p.made = id, true
		return nil
	}, insert, ids, tenants, keys,
		column(all, func(p *placement) string { return first(p).Job.RequestHash }),
		column(all, func(p *placement) string { return first(p).Request.Route }),
		column(all, func(p *placement) int16 { return int16(p.topPriority()) }),
		column(all, func(p *placement) int64 { return first(p).Request.Cost }),
		column(all, (*placement).deadline),
		column(all, (*placement).stopAt),
		column(all, func(p *placement) uuid.UUID { return first(p).Job.ID }),
		column(all, (*placement).noStore),
		column(all, (*placement).degradable),
		column(all, func(p *placement) string { return first(p).Job.UseCase }))
	t.each(func(rows pgx.Rows) error {
		var id uuid.UUID
		var key, tenant string
		var priority jobs.Priority
		if err := rows.Scan(&id, &key, &tenant, &priority); err != nil {
			return err
		}
		p := byKey[[2]string{key, tenant}]
		p.execution, p.priority = id, priority
		return nil
	}, lock, keys, tenants)
	return t.flush(ctx)
}

// raise brings executions that others made up to the priority and the deadlines
// of the jobs that attach. One that is released to a queue of lower priority, or to
// a lesser target that not all of them would take, and that no worker has claimed,
// becomes ready again.
func raise(t *txn, places []*placement) {
	const update = `
		WITH v AS (
			SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::timestamptz[], $4::timestamptz[], $5::boolean[],
					$7::boolean[])
				AS v (id, priority, deadline, stop_at, no_store, degradable)
		), taken AS (
			DELETE FROM releases r USING v
			WHERE r.execution_id = v.id AND r.execution_id = ANY ($1) AND r.worker IS NULL
				AND (v.priority < r.priority OR r.degraded AND NOT v.degradable)
			RETURNING r.execution_id
		)
		UPDATE queue q SET
			priority = least(q.priority, v.priority),
			deadline = least(q.deadline, v.deadline),
			stop_at = greatest(q.stop_at, v.stop_at),
			no_store = q.no_store OR v.no_store,
			degradable = q.degradable AND v.degradable,
			visible_at = CASE WHEN taken.execution_id IS NULL THEN q.visible_at ELSE 'epoch' END
		FROM v LEFT JOIN taken ON taken.execution_id = v.id
		WHERE q.id = v.id AND q.id = ANY ($1)
		RETURNING q.id, q.visible_at <= $6, taken.execution_id IS NOT NULL`
	attached := map[uuid.UUID]*placement{}
	var found []*placement
	now := time.Time{}
	for _, p := range places {
		if p.made {
			continue
		}
		attached[p.execution] = p
		found = append(found, p)
		now = maxTime(now, p.members[0].Job.CreatedAt)
	}
	if len(found) == 0 {
		return
	}
	t.each(func(rows pgx.Rows) error {
		var id uuid.UUID
		var visible, taken bool
		if err := rows.Scan(&id, &visible, &taken); err != nil {
			return err
		}
		p := attached[id]
		for _, m := range p.members {
			m.done.Ready = visible && (taken || m.Job.Priority < p.priority)
		}
		return nil
	}, update,
		column(found, func(p *placement) uuid.UUID { return p.execution }),
		column(found, func(p *placement) int16 { return int16(p.topPriority()) }),
		column(found, (*placement).deadline),
		column(found, (*placement).stopAt),
		column(found, (*placement).noStore),
		now,
		column(found, (*placement).degradable))
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
