package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// recordCall closes the call, whose row is open unless a claim was lost. A call
// that is closed stays as it is, and one whose execution was deleted leaves no
// trace; nor does what arrived of an answer if the request was dropped. Tenant and hash are those of the execution.
func recordCall(ctx context.Context, t *statements, task jobs.Task, c jobs.Call) error {
	if c.ID == uuid.Nil {
		return nil
	}
	tokens := usageOf(c.Usage)
	_, err := t.exec(ctx, `
		INSERT INTO calls (id, execution_id, fence, tenant, request_hash, provider, model, latency_ms, ttft_ms, status,
			error_class, http_status, input_tokens, output_tokens, cached_tokens, reasoning_tokens, reserved_usd, cost_usd,
			provider_request_id, served_model, partial, created_at, key_id)
		SELECT ?, r.execution_id, ?, r.tenant, r.hash, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
			CASE WHEN length(r.body) > 0 THEN ? ELSE '' END, ?, CASE WHEN length(r.body) > 0 THEN ? END
		FROM requests r WHERE r.execution_id = ?
		ON CONFLICT (execution_id, id) DO UPDATE SET latency_ms = excluded.latency_ms, ttft_ms = excluded.ttft_ms,
			status = excluded.status, error_class = excluded.error_class, http_status = excluded.http_status,
			input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens,
			cached_tokens = excluded.cached_tokens, reasoning_tokens = excluded.reasoning_tokens,
			reserved_usd = coalesce(excluded.reserved_usd, reserved_usd), cost_usd = excluded.cost_usd,
			provider_request_id = excluded.provider_request_id, served_model = excluded.served_model, partial = excluded.partial,
			key_id = excluded.key_id
		WHERE calls.status IS NULL`,
		id(c.ID), task.Fence, c.Provider, c.Model, c.Latency.Milliseconds(), orNull(c.TimeToFirstToken.Milliseconds()),
		orNull(string(c.Status)), orNull(string(c.ErrorClass)), orNull(c.HTTPStatus),
		tokens.input, tokens.output, tokens.cached, tokens.reasoning, amount(c.ReservedUSD), amount(c.CostUSD),
		c.ProviderRequestID, c.ServedModel, c.Partial, micros(c.CreatedAt), idOrNull(c.KeyID), id(task.Execution))
	return err
}

// openCall records that a call is about to be made. One that is there stays.
func openCall(ctx context.Context, t *statements, c jobs.Call) error {
	_, err := t.exec(ctx, `
		INSERT INTO calls (id, execution_id, fence, tenant, request_hash, provider, model, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		id(c.ID), id(c.Execution), c.Fence, c.Tenant, c.RequestHash, c.Provider, c.Model, micros(c.CreatedAt))
	return err
}

// spent returns the sum of the known costs of an execution's calls; nil if none
// is known.
func spent(ctx context.Context, t *statements, execution uuid.UUID) (*jobs.USD, error) {
	var sum *int64
	err := t.row(ctx, `SELECT sum(cost_usd) FROM calls WHERE execution_id = ?`, id(execution)).Scan(&sum)
	return amountOf(sum), err
}

// Calls lists the calls of the job's execution: see [jobs.ReadStore].
func (s *Store) Calls(ctx context.Context, tenant string, jobID uuid.UUID) ([]jobs.Call, error) {
	return read(ctx, s, "list calls", func(ctx context.Context, q *statements) ([]jobs.Call, error) {
		execution, cached, err := executionOf(ctx, q, tenant, jobID)
		if err != nil || cached {
			return nil, err
		}
		return all(ctx, q, scanCall, `
			SELECT id, execution_id, fence, tenant, request_hash, provider, model, status, error_class, http_status,
				latency_ms, ttft_ms, input_tokens, output_tokens, cached_tokens, reasoning_tokens, reserved_usd, cost_usd,
				provider_request_id, served_model, partial, created_at
			FROM calls WHERE execution_id = ? AND tenant = ? ORDER BY created_at, id`,
			id(execution), tenant)
	})
}

// executionOf returns the execution of the tenant's job, and whether the job is
// a copy of that one's answer.
func executionOf(ctx context.Context, q *statements, tenant string, jobID uuid.UUID) (uuid.UUID, bool, error) {
	var execution uuid.UUID
	var cached bool
	err := q.row(ctx, `SELECT execution_id, cached AND answer_of IS NULL FROM jobs WHERE id = ? AND tenant = ?`, id(jobID), tenant).
		Scan(&execution, &cached)
	if errors.Is(err, sql.ErrNoRows) {
		return uuid.Nil, false, jobs.ErrNotFound
	}
	return execution, cached, err
}

func scanCall(row scanner) (jobs.Call, error) {
	var (
		c              jobs.Call
		status, class  *string
		httpStatus     *int
		latency, ttft  *int64
		tokens         usage
		reserved, cost *int64
		created        int64
	)
	err := row.Scan(&c.ID, &c.Execution, &c.Fence, &c.Tenant, &c.RequestHash, &c.Provider, &c.Model, &status, &class,
		&httpStatus, &latency, &ttft, &tokens.input, &tokens.output, &tokens.cached, &tokens.reasoning,
		&reserved, &cost, &c.ProviderRequestID, &c.ServedModel, &c.Partial, &created)
	c.Status, c.ErrorClass = jobs.CallStatus(orZero(status)), providers.Class(orZero(class))
	c.HTTPStatus, c.Usage = orZero(httpStatus), tokens.tokens()
	c.Latency = time.Duration(orZero(latency)) * time.Millisecond
	c.TimeToFirstToken = time.Duration(orZero(ttft)) * time.Millisecond
	c.ReservedUSD, c.CostUSD, c.CreatedAt = amountOf(reserved), amountOf(cost), when(created)
	return c, err
}
