package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// Calls lists the calls of the job's execution, oldest first: none for a job
// whose answer was there before it.
func (s *Store) Calls(ctx context.Context, tenant string, id uuid.UUID) (calls []jobs.Call, err error) {
	const query = `
		SELECT c.id, c.execution_id, c.fence, c.tenant, c.request_hash, c.provider, c.model, c.status, c.error_class,
			c.http_status, c.latency_ms, c.ttft_ms, c.input_tokens, c.output_tokens, c.cached_tokens,
			c.reasoning_tokens, (c.reserved_usd * 1000000000)::bigint, (c.cost_usd * 1000000000)::bigint,
			c.provider_request_id, c.partial, c.created_at, c.served_model
		FROM calls c
		WHERE c.execution_id = (
			SELECT j.execution_id FROM jobs j
			WHERE j.id = $1 AND j.tenant = $2 AND (NOT j.cached OR j.answer_of IS NOT NULL))
		ORDER BY c.created_at, c.id`
	err = s.bounded(ctx, "list calls", func(ctx context.Context) error {
		if err := s.jobExists(ctx, tenant, id); err != nil {
			return err
		}
		rows, err := s.pool.Query(ctx, query, id, tenant)
		if err != nil {
			return err
		}
		calls, err = pgx.CollectRows(rows, scanCall)
		return err
	})
	return calls, err
}

func scanCall(row pgx.CollectableRow) (jobs.Call, error) {
	var (
		c                                               jobs.Call
		status, class, providerRequest, partial, served *string
		httpStatus                                      *int
		latency, firstToken, reserved, cost             *int64
		u                                               usage
	)
	err := row.Scan(&c.ID, &c.Execution, &c.Fence, &c.Tenant, &c.RequestHash, &c.Provider, &c.Model, &status, &class,
		&httpStatus, &latency, &firstToken, &u.input, &u.output, &u.cached, &u.reasoning, &reserved, &cost,
		&providerRequest, &partial, &c.CreatedAt, &served)
	if err != nil {
		return jobs.Call{}, err
	}
	setString(&c.Status, status)
	setString(&c.ErrorClass, class)
	c.HTTPStatus = orZero(httpStatus)
	c.Latency = time.Duration(orZero(latency)) * time.Millisecond
	c.TimeToFirstToken = time.Duration(orZero(firstToken)) * time.Millisecond
	u.fillCall(&c)
	c.ReservedUSD, c.CostUSD = usdOf(reserved), usdOf(cost)
	c.ProviderRequestID, c.Partial, c.ServedModel = orZero(providerRequest), orZero(partial), orZero(served)
	return c, nil
}

func setString[S ~string](to *S, from *string) { *to = S(orZero(from)) }

// recordCalls queues the writing of closed calls. A call that is recorded as
// open is closed; one that is closed already stays as it is. What belonged to
// an execution that was deleted is dropped with it, and what arrived of an answer
// with a request that was dropped.
func recordCalls(t *txn, all []jobs.Call) {
	const upsert = `
		INSERT INTO calls (id, execution_id, fence, tenant, request_hash, provider, model, status, error_class,
			http_status, latency_ms, ttft_ms, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
			reserved_usd, cost_usd, provider_request_id, partial, created_at, key_id, served_model)
		SELECT id, execution_id, fence, tenant, request_hash, provider, model, status, error_class,
			http_status, latency_ms, ttft_ms, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
			reserved * 0.000000001, cost * 0.000000001, provider_request_id, CASE WHEN r.kept THEN partial END, created_at,
			CASE WHEN r.kept THEN key_id END, served_model
		FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
				$9::text[], $10::integer[], $11::integer[], $12::integer[], $13::bigint[], $14::bigint[], $15::bigint[],
				$16::bigint[], $17::bigint[], $18::bigint[], $19::text[], $20::text[], $21::timestamptz[],
				$22::uuid[], $23::text[])
			AS v (id, execution_id, fence, tenant, request_hash, provider, model, status, error_class,
				http_status, latency_ms, ttft_ms, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
				reserved, cost, provider_request_id, partial, created_at, key_id, served_model)
		CROSS JOIN LATERAL (
			SELECT r.body <> '' AS kept FROM requests r WHERE r.execution_id = v.execution_id OFFSET 0
		) r
		ORDER BY execution_id, id
		ON CONFLICT (execution_id, id) DO UPDATE SET
			provider = excluded.provider, model = excluded.model, status = excluded.status,
			error_class = excluded.error_class, http_status = excluded.http_status,
			latency_ms = excluded.latency_ms, ttft_ms = excluded.ttft_ms,
			input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens,
			cached_tokens = excluded.cached_tokens, reasoning_tokens = excluded.reasoning_tokens,
			reserved_usd = coalesce(excluded.reserved_usd, calls.reserved_usd), cost_usd = excluded.cost_usd,
			provider_request_id = excluded.provider_request_id, partial = excluded.partial,
			key_id = excluded.key_id, served_model = excluded.served_model
		WHERE calls.status IS NULL`
	all, _ = distinct(all, func(c jobs.Call) uuid.UUID { return c.ID })
	if len(all) == 0 {
		return
	}
	u := column(all, usageOfCall)
	t.exec(upsert,
		column(all, func(c jobs.Call) uuid.UUID { return c.ID }),
		column(all, func(c jobs.Call) uuid.UUID { return c.Execution }),
		column(all, func(c jobs.Call) int64 { return c.Fence }),
		column(all, func(c jobs.Call) string { return c.Tenant }),
		column(all, func(c jobs.Call) string { return c.RequestHash }),
		column(all, func(c jobs.Call) string { return c.Provider }),
		column(all, func(c jobs.Call) string { return c.Model }),
		column(all, func(c jobs.Call) *string { return orNull(string(c.Status)) }),
		column(all, func(c jobs.Call) *string { return orNull(string(c.ErrorClass)) }),
		column(all, func(c jobs.Call) *int { return orNull(c.HTTPStatus) }),
		column(all, func(c jobs.Call) *int64 { return orNull(c.Latency.Milliseconds()) }),
		column(all, func(c jobs.Call) *int64 { return orNull(c.TimeToFirstToken.Milliseconds()) }),
		column(u, func(u usage) *int64 { return u.input }),
		column(u, func(u usage) *int64 { return u.output }),
		column(u, func(u usage) *int64 { return u.cached }),
		column(u, func(u usage) *int64 { return u.reasoning }),
		column(all, func(c jobs.Call) *int64 { return nanoOf(c.ReservedUSD) }),
		column(all, func(c jobs.Call) *int64 { return nanoOf(c.CostUSD) }),
		column(all, func(c jobs.Call) *string { return orNull(clean(c.ProviderRequestID)) }),
		column(all, func(c jobs.Call) *string { return orNull(clean(c.Partial)) }),
		column(all, func(c jobs.Call) time.Time { return c.CreatedAt }),
		column(all, func(c jobs.Call) *uuid.UUID { return orNull(c.KeyID) }),
		column(all, func(c jobs.Call) *string { return orNull(clean(c.ServedModel)) }))
}
