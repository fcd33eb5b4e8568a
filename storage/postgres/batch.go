package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

var _ batches.Store = (*Store)(nil)

// batchColumns tell a batch: a scan of them is scanBatch.
const batchColumns = `
	b.id, b.tenant, b.endpoint, b.input_file, b.output_file, b.error_file, b.status, b.paused, b.policy, b.metadata,
	b.time_window, b.output_ttl_us, b.created_at, b.deadline, b.started_at, b.finalizing_at, b.cancelling_at, b.ended_at,
	b.lines_read, b.bytes_read, b.problems, b.problem_count,
	b.total, b.pending, b.live, b.succeeded, b.failed, b.cancelled, b.expired, b.deduplicated,
	b.input_tokens, b.output_tokens, b.cached_tokens, b.reasoning_tokens, (b.cost_usd * 1000000000)::bigint, b.rate`

const selectBatch = `SELECT ` + batchColumns + ` FROM batches b WHERE b.id = $1 AND b.tenant = $2`

// Batch returns a batch: see [batches.BatchStore].
func (s *Store) Batch(ctx context.Context, tenant string, id uuid.UUID) (b batches.Batch, err error) {
	err = s.bounded(ctx, "read a batch", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, selectBatch, id, tenant)
		if err != nil {
			return err
		}
		b, err = pgx.CollectExactlyOneRow(rows, scanBatch)
		return notFound(err)
	})
	return b, err
}

// Batches lists a tenant's batches: see [batches.BatchStore].
func (s *Store) Batches(ctx context.Context, q batches.Query) (list []batches.Batch, err error) {
	sql, args := batchesQuery(q)
	err = s.bounded(ctx, "list batches", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, scanBatch)
		return err
	})
	if q.After != uuid.Nil {
		slices.Reverse(list)
	}
	return list, err
}

// batchesQuery has a term for each field that is set, as listQuery has.
func batchesQuery(q batches.Query) (sql string, args []any) {
	var c conditions
	c.add("b.tenant = $", q.Tenant)
	order := " ORDER BY b.id DESC"
	if q.Before != uuid.Nil {
		c.add("b.id < $", q.Before)
	}
	if q.After != uuid.Nil {
		c.add("b.id > $", q.After)
		order = " ORDER BY b.id"
	}
	if q.Endpoint != "" {
		c.add("b.endpoint = $", q.Endpoint)
	}
	args = append(c.args, q.Limit)
	return fmt.Sprintf(`SELECT %s FROM batches b WHERE %s%s LIMIT $%d`,
		batchColumns, strings.Join(c.terms, " AND "), order, len(args)), args
}

func scanBatch(row pgx.CollectableRow) (batches.Batch, error) {
	var b batches.Batch
	var started, finalizing, cancelling, ended *time.Time
	var policy, metadata, problems []byte
	var ttl, cost int64
	var u usage
	c := &b.Counts
	err := row.Scan(&b.ID, &b.Tenant, &b.Endpoint, &b.Input, &b.Output, &b.Errors, &b.Status, &b.Paused, &policy, &metadata,
		&b.Window, &ttl, &b.CreatedAt, &b.Deadline, &started, &finalizing, &cancelling, &ended,
		&b.Read.Lines, &b.Read.Bytes, &problems, &b.ProblemCount,
		&c.Total, &c.Pending, &c.Live, &c.Succeeded, &c.Failed, &c.Cancelled, &c.Expired, &c.Deduplicated,
		&u.input, &u.output, &u.cached, &u.reasoning, &cost, &b.Rate)
	if err != nil {
		return batches.Batch{}, err
	}
	b.OutputTTL = time.Duration(ttl) * time.Microsecond
	b.StartedAt, b.FinalizingAt, b.CancellingAt, b.EndedAt = orZero(started), orZero(finalizing), orZero(cancelling), orZero(ended)
	b.Usage, b.CostUSD = u.tokens(), jobs.USD(cost)
	for _, part := range []struct {
		text []byte
		into any
	}{{policy, &b.Policy}, {metadata, &b.Metadata}, {problems, &b.Problems}} {
		if part.text != nil && json.Unmarshal(part.text, part.into) != nil {
			return batches.Batch{}, fmt.Errorf("the policy, metadata or problems of batch %s cannot be read", b.ID)
		}
	}
	return b, nil
}

// eachBatch queues a query of batches. Those it finds are in the list, in the order of
// their ids, at the flush.
func eachBatch(t *txn, list *[]batches.Batch, sql string, args ...any) {
	t.each(func(rows pgx.Rows) error {
		b, err := scanBatch(rows)
		at, _ := slices.BinarySearchFunc(*list, b, func(a, b batches.Batch) int { return bytes.Compare(a.ID[:], b.ID[:]) })
		*list = slices.Insert(*list, at, b)
		return err
	}, sql, args...)
}

// lockBatch returns a batch of the tenant, locked, or [jobs.ErrNotFound].
func lockBatch(ctx context.Context, t *txn, tenant string, id uuid.UUID) (batches.Batch, error) {
	var list []batches.Batch
	eachBatch(t, &list, selectBatch+` FOR NO KEY UPDATE`, id, tenant)
	if err := t.flush(ctx); err != nil {
		return batches.Batch{}, err
	}
	if len(list) == 0 {
		return batches.Batch{}, jobs.ErrNotFound
	}
	return list[0], nil
}

// lockHeldBatch returns a batch that holder holds, locked, or [batches.ErrNotHeld]. What queries
// queue is run once it is locked.
func lockHeldBatch(ctx context.Context, t *txn, holder, batch uuid.UUID, queries ...func()) (batches.Batch, error) {
	var list []batches.Batch
	eachBatch(t, &list, `
		SELECT `+batchColumns+` FROM batches b WHERE b.id = $1 AND b.holder = $2 AND b.held_until > clock_timestamp()
		FOR NO KEY UPDATE`, batch, holder)
	for _, queue := range queries {
		queue()
	}
	if err := t.flush(ctx); err != nil {
		return batches.Batch{}, err
	}
	if len(list) == 0 {
		return batches.Batch{}, batches.ErrNotHeld
	}
	return list[0], nil
}
