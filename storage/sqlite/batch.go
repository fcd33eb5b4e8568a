package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

var _ batches.Store = (*Store)(nil)

// Batch returns a batch: see [batches.BatchStore].
func (s *Store) Batch(ctx context.Context, tenant string, batch uuid.UUID) (batches.Batch, error) {
	return read(ctx, s, "read a batch", func(ctx context.Context, q *statements) (batches.Batch, error) {
		return batchOf(ctx, q, tenant, batch)
	})
}

// Batches lists a tenant's batches: see [batches.BatchStore].
func (s *Store) Batches(ctx context.Context, query batches.Query) ([]batches.Batch, error) {
	return read(ctx, s, "list batches", func(ctx context.Context, q *statements) ([]batches.Batch, error) {
		const ofTenant = selectBatch + ` WHERE b.tenant = ?1 AND (?2 = '' OR b.endpoint = ?2)`
		if query.After != uuid.Nil {
			list, err := all(ctx, q, scanBatch, ofTenant+` AND b.id > ?3 ORDER BY b.id LIMIT +?4`,
				query.Tenant, query.Endpoint, id(query.After), query.Limit)
			slices.Reverse(list)
			return list, err
		}
		before := query.Before
		if before == uuid.Nil {
			before = uuid.Max
		}
		return all(ctx, q, scanBatch, ofTenant+` AND b.id < ?3 ORDER BY b.id DESC LIMIT +?4`,
			query.Tenant, query.Endpoint, id(before), query.Limit)
	})
}

// batchOf returns a batch of the tenant, or [jobs.ErrNotFound].
func batchOf(ctx context.Context, q *statements, tenant string, batch uuid.UUID) (batches.Batch, error) {
	b, err := scanBatch(q.row(ctx, selectBatch+` WHERE b.id = ? AND b.tenant = ?`, id(batch), tenant))
	if ok, err := found(err); err != nil || ok {
		return b, err
	}
	return batches.Batch{}, jobs.ErrNotFound
}

// heldBatch returns a batch that holder holds, or [batches.ErrNotHeld].
func heldBatch(ctx context.Context, q *statements, holder, batch uuid.UUID) (batches.Batch, error) {
	b, err := scanBatch(q.row(ctx, selectBatch+` WHERE b.id = ? AND b.holder = ? AND b.held_until > ?`,
		id(batch), id(holder), micros(time.Now())))
	if ok, err := found(err); err != nil || ok {
		return b, err
	}
	return batches.Batch{}, batches.ErrNotHeld
}

const selectBatch = `
	SELECT b.id, b.tenant, b.endpoint, b.input_file, b.output_file, b.error_file, b.status, b.paused, b.policy, b.metadata,
		b.time_window, b.output_ttl, b.created_at, b.deadline, b.started_at, b.finalizing_at, b.cancelling_at, b.ended_at,
		b.lines_read, b.bytes_read, b.problems, b.problem_count,
		b.total, b.pending, b.live, b.succeeded, b.failed, b.cancelled, b.expired, b.deduplicated,
		b.input_tokens, b.output_tokens, b.cached_tokens, b.reasoning_tokens, b.cost_usd, b.rate
	FROM batches b`

func scanBatch(row scanner) (batches.Batch, error) {
	var b batches.Batch
	var created, deadline, started, finalizing, cancelling, ended, ttl int64
	var policy, metadata, problems []byte
	var tokens usage
	c := &b.Counts
	err := row.Scan(&b.ID, &b.Tenant, &b.Endpoint, &b.Input, &b.Output, &b.Errors, &b.Status, &b.Paused, &policy, &metadata,
		&b.Window, &ttl, &created, &deadline, &started, &finalizing, &cancelling, &ended,
		&b.Read.Lines, &b.Read.Bytes, &problems, &b.ProblemCount,
		&c.Total, &c.Pending, &c.Live, &c.Succeeded, &c.Failed, &c.Cancelled, &c.Expired, &c.Deduplicated,
		&tokens.input, &tokens.output, &tokens.cached, &tokens.reasoning, &b.CostUSD, &b.Rate)
	if err != nil {
		return batches.Batch{}, err
	}
	b.OutputTTL, b.CreatedAt, b.Deadline = time.Duration(ttl)*time.Microsecond, when(created), when(deadline)
	b.StartedAt, b.FinalizingAt, b.CancellingAt, b.EndedAt = when(started), when(finalizing), when(cancelling), when(ended)
	b.Usage = tokens.tokens()
	for _, part := range []struct {
		text []byte
		into any
	}{{policy, &b.Policy}, {metadata, &b.Metadata}, {problems, &b.Problems}} {
		if part.text == nil {
			continue
		}
		if err := json.Unmarshal(part.text, part.into); err != nil {
			return batches.Batch{}, fmt.Errorf("read batch %s: %w", b.ID, err)
		}
	}
	return b, nil
}
