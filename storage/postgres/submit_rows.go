package postgres

import (
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// insertPlaced queues the rows of all members, and tells what became of them.
func insertPlaced(t *txn, places []*placement) error {
	var made, members []*submission
	for _, p := range places {
		for i, m := range p.members {
			m.Job.ExecutionID, m.Job.Status, m.Job.WaitingOn = p.execution, jobs.StatusQueued, jobs.WaitingOnCapacity
			m.Job.Deduplicated = !p.made || i > 0
			m.done = jobs.Submitted{Job: m.Job, Ready: !m.Job.Deduplicated}
			m.reread = !p.made
			members = append(members, m)
			if !m.Job.Deduplicated {
				made = append(made, m)
			}
		}
	}
	if len(members) == 0 {
		return nil
	}
	insertRequests(t, made)
	if err := insertJobs(t, column(members, func(m *submission) jobs.Job { return m.Job })); err != nil {
		return err
	}
	insertLiveJobs(t, members)
	insertDrops(t, members)
	return nil
}

func insertRequests(t *txn, made []*submission) {
	const insert = `
		INSERT INTO requests (execution_id, tenant, hash, endpoint, route, body, sample, cost, created_at, key_id)
		SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::integer[],
			$8::bigint[], $9::timestamptz[], $10::uuid[])`
	if len(made) == 0 {
		return
	}
	t.exec(insert,
		column(made, func(m *submission) uuid.UUID { return m.Execution }),
		column(made, func(m *submission) string { return m.Job.Tenant }),
		column(made, func(m *submission) string { return m.Job.RequestHash }),
		column(made, func(m *submission) string { return m.Request.Endpoint }),
		column(made, func(m *submission) string { return m.Request.Route }),
		column(made, func(m *submission) []byte { return m.Request.Body }),
		column(made, func(m *submission) int { return m.Request.Sample }),
		column(made, func(m *submission) int64 { return m.Request.Cost }),
		column(made, func(m *submission) time.Time { return m.Job.CreatedAt }),
		column(made, func(m *submission) *uuid.UUID { return orNull(m.Request.KeyID) }))
}

// insertJobs queues the rows of new jobs, live or copied.
func insertJobs(t *txn, all []jobs.Job) error {
	const insert = `
		INSERT INTO jobs (id, tenant, execution_id, status, endpoint, model, priority, deadline, created_at,
			finished_at, hash, deduplicated, cached, age_us, provider,
			input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost_usd, metadata, end_user, ephemeral,
			on_unavailable, use_case, webhook_url, webhook_endpoint, batch_id, response)
		SELECT id, tenant, execution_id, status, endpoint, model, priority, deadline, created_at,
			finished_at, hash, deduplicated, cached, age_us, provider,
			input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost * 0.000000001,
			convert_from(metadata, 'UTF8')::jsonb, end_user, ephemeral, on_unavailable, use_case,
			webhook_url, webhook_endpoint, batch_id, response
		FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::smallint[],
				$8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::text[], $12::boolean[], $13::boolean[],
				$14::bigint[], $15::text[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[],
				$20::bigint[], $21::bytea[], $22::text[], $23::boolean[], $24::smallint[], $25::text[],
				$26::text[], $27::uuid[], $28::uuid[], $29::boolean[])
			AS v (id, tenant, execution_id, status, endpoint, model, priority,
				deadline, created_at, finished_at, hash, deduplicated, cached, age_us, provider,
				input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost, metadata, end_user, ephemeral,
				on_unavailable, use_case, webhook_url, webhook_endpoint, batch_id, response)`
	metadata := make([][]byte, len(all))
	for i, j := range all {
		var err error
		if metadata[i], err = metadataOf(j.Metadata); err != nil {
			return err
		}
	}
	u := column(all, usageOf)
	t.exec(insert,
		column(all, func(j jobs.Job) uuid.UUID { return j.ID }),
		column(all, func(j jobs.Job) string { return j.Tenant }),
		column(all, func(j jobs.Job) uuid.UUID { return j.ExecutionID }),
		column(all, func(j jobs.Job) string { return string(j.Status) }),
		column(all, func(j jobs.Job) string { return j.Endpoint }),
		column(all, func(j jobs.Job) string { return j.Model }),
		column(all, func(j jobs.Job) int16 { return int16(j.Priority) }),
		column(all, func(j jobs.Job) time.Time { return j.Deadline }),
		column(all, func(j jobs.Job) time.Time { return j.CreatedAt }),
		column(all, func(j jobs.Job) *time.Time { return when(j.FinishedAt) }),
		column(all, func(j jobs.Job) string { return j.RequestHash }),
		column(all, func(j jobs.Job) bool { return j.Deduplicated }),
		column(all, func(j jobs.Job) bool { return j.Cached }),
		column(all, func(j jobs.Job) int64 { return j.Age.Microseconds() }),
		column(all, func(j jobs.Job) string { return j.Provider }),
		column(u, func(u usage) *int64 { return u.input }),
		column(u, func(u usage) *int64 { return u.output }),
		column(u, func(u usage) *int64 { return u.cached }),
		column(u, func(u usage) *int64 { return u.reasoning }),
		column(all, func(j jobs.Job) *int64 { return nanoOf(j.CostUSD) }),
		metadata,
		column(all, func(j jobs.Job) string { return j.User }),
		column(all, func(j jobs.Job) bool { return j.Ephemeral }),
		column(all, func(j jobs.Job) int16 { return int16(j.OnUnavailable) }),
		column(all, func(j jobs.Job) string { return j.UseCase }),
		column(all, func(j jobs.Job) *string { return orNull(j.Webhook.URL) }),
		column(all, func(j jobs.Job) *uuid.UUID { return orNull(j.Webhook.Endpoint) }),
		column(all, func(j jobs.Job) *uuid.UUID { return orNull(j.Batch) }),
		column(all, func(j jobs.Job) bool { return j.Response }))
	return nil
}

func insertLiveJobs(t *txn, members []*submission) {
	const insert = `
		INSERT INTO live_jobs (execution_id, job_id, tenant, priority, deadline, stale_after, ephemeral, on_unavailable,
			unserved_route, webhook, batch, response)
		SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::smallint[], $5::timestamptz[], $6::timestamptz[],
			$7::boolean[], $8::smallint[], $9::text[], $10::boolean[], $11::boolean[], $12::boolean[])`
	t.exec(insert,
		column(members, func(m *submission) uuid.UUID { return m.Job.ExecutionID }),
		column(members, func(m *submission) uuid.UUID { return m.Job.ID }),
		column(members, func(m *submission) string { return m.Job.Tenant }),
		column(members, func(m *submission) int16 { return int16(m.Job.Priority) }),
		column(members, func(m *submission) time.Time { return m.Job.Deadline }),
		column(members, func(m *submission) *time.Time { return when(m.StaleAfter()) }),
		column(members, func(m *submission) bool { return m.Job.Ephemeral }),
		column(members, func(m *submission) int16 { return int16(m.Job.OnUnavailable) }),
		column(members, func(m *submission) *string { return orNull(m.UnservedRoute()) }),
		column(members, func(m *submission) bool { return audienceOf(m.Job).webhook }),
		column(members, func(m *submission) bool { return audienceOf(m.Job).batch }),
		column(members, func(m *submission) bool { return audienceOf(m.Job).response }))
}
