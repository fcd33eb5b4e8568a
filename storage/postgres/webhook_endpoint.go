package postgres

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

var _ delivery.Store = (*Store)(nil)

// endpointColumns tell an endpoint; stateColumn of the row s how it fares. A scan of both
// is scanWatched.
const (
	endpointColumns = `
		e.id, e.tenant, e.url, e.description, e.types, e.metadata, e.timeout_us, e.per_minute, e.concurrency, e.schedule_us,
		e.header, e.include_result, e.disabled, e.per_job, e.version, e.created_at, e.changed_at`
	stateColumn = `, s.state`
	// selectWatched has as $1 the owner of the secret of a tenant's jobs, and is of that
	// tenant alone.
	selectWatched = `
		SELECT ` + endpointColumns + stateColumn + `, coalesce((
				SELECT w.public_key FROM webhook_secrets w
				WHERE w.owner = CASE WHEN e.per_job THEN $1 ELSE e.id END AND w.expires_at IS NULL
				ORDER BY w.created_at DESC, w.id DESC LIMIT 1
			), '')
		FROM webhook_endpoints e
		CROSS JOIN LATERAL (SELECT s.state FROM webhook_states s WHERE s.endpoint_id = e.id OFFSET 0) s`
)

// scanWatched reads a row of endpointColumns and stateColumn, and what follows into more.
func scanWatched(row pgx.CollectableRow, more ...any) (w delivery.Watched, err error) {
	var (
		timeout                 int64
		schedule                []int64
		metadata, header, state []byte
	)
	into := []any{
		&w.ID, &w.Tenant, &w.URL, &w.Description, &w.Types, &metadata, &timeout, &w.PerMinute, &w.Concurrency, &schedule,
		&header, &w.IncludeResult, &w.Disabled, &w.PerJob, &w.Version, &w.CreatedAt, &w.ChangedAt, &state,
	}
	if err := row.Scan(append(into, more...)...); err != nil {
		return delivery.Watched{}, err
	}
	w.Timeout = microseconds(timeout)
	for _, d := range schedule {
		w.Schedule = append(w.Schedule, microseconds(d))
	}
	if len(w.Types) == 0 {
		w.Types = nil
	}
	err = errors.Join(unmarshalMap(metadata, &w.Metadata), unmarshalMap(header, &w.Header), json.Unmarshal(state, &w.State))
	if err != nil {
		return delivery.Watched{}, fmt.Errorf("read endpoint %s: %w", w.ID, err)
	}
	return w, nil
}

// unmarshalMap leaves nil what is empty.
func unmarshalMap(text []byte, into *map[string]string) error {
	if string(text) == "{}" {
		return nil
	}
	return json.Unmarshal(text, into)
}

// marshalMap returns text of an object, also for nil.
func marshalMap(m map[string]string) (string, error) {
	if len(m) == 0 {
		return "{}", nil
	}
	text, err := json.Marshal(m)
	return string(text), err
}

// endpointArgs are the values of the columns that a tenant can change, in the order of
// changeable.
func endpointArgs(e delivery.Endpoint) ([]any, error) {
	metadata, err := marshalMap(e.Metadata)
	if err != nil {
		return nil, err
	}
	header, err := marshalMap(e.Header)
	if err != nil {
		return nil, err
	}
	types := append([]string{}, e.Types...)
	schedule := column(e.Schedule, time.Duration.Microseconds)
	return []any{
		e.ID, e.Tenant, e.URL, clean(e.Description), types, metadata, e.Timeout.Microseconds(), e.PerMinute, e.Concurrency, schedule,
		header, e.IncludeResult, string(e.Disabled), e.ChangedAt,
	}, nil
}

// insertEndpoint has [endpointArgs], then per_job, version and created_at.
const insertEndpoint = `
	INSERT INTO webhook_endpoints (id, tenant, url, description, types, metadata, timeout_us, per_minute, concurrency,
		schedule_us, header, include_result, disabled, changed_at, per_job, version, created_at)
	SELECT $1, $2, $3, $4, $5, $6::text::jsonb, $7, $8, $9, $10, $11::text::jsonb, $12, $13, $14, $15, $16, $17`

const insertState = `
	INSERT INTO webhook_states (endpoint_id) SELECT id FROM webhook_endpoints WHERE id = $1 ON CONFLICT (endpoint_id) DO NOTHING`

// lockOwner queues the wait for others who do the same with the secrets or, for that of
// its jobs, the endpoints of a tenant.
func lockOwner(t *txn, owner uuid.UUID) {
	t.exec(`SELECT pg_advisory_xact_lock($1)`, int64(binary.BigEndian.Uint64(owner[8:]))) //nolint:gosec // any number will do
}

// CreateEndpoint keeps an endpoint: see [delivery.EndpointStore]. Those of a tenant are
// made one after the other, so that they can be counted.
func (s *Store) CreateEndpoint(ctx context.Context, e delivery.Endpoint, secret delivery.Secret) error {
	const room = ` WHERE (SELECT count(*) FROM webhook_endpoints WHERE tenant = $2 AND NOT per_job) < $18 RETURNING id`
	args, err := endpointArgs(e)
	if err != nil {
		return fmt.Errorf("keep an endpoint: %w", err)
	}
	args = append(args, e.PerJob, e.Version, e.CreatedAt, delivery.MaxEndpoints)
	return s.write(ctx, "keep an endpoint", func(ctx context.Context, t *txn) error {
		var made []uuid.UUID
		lockOwner(t, delivery.TenantOwner(e.Tenant))
		t.each(appendID(&made), insertEndpoint+room, args...)
		if err := t.flush(ctx); err != nil {
			return err
		}
		if len(made) == 0 {
			return delivery.ErrTooMany
		}
		t.exec(insertState, e.ID)
		insertSecret(t, secret)
		return nil
	})
}

// EnsureEndpoint keeps an endpoint unless it is there: see [delivery.EndpointStore]. What
// is left of one of that id that was removed goes first.
func (s *Store) EnsureEndpoint(ctx context.Context, e delivery.Endpoint) error {
	const unlessLeft = ` WHERE (SELECT true FROM webhook_removals r WHERE r.endpoint_id = $1) IS NULL ON CONFLICT (id) DO NOTHING`
	args, err := endpointArgs(e)
	if err != nil {
		return fmt.Errorf("keep an endpoint: %w", err)
	}
	args = append(args, e.PerJob, e.Version, e.CreatedAt)
	for {
		var left []uuid.UUID
		err := s.write(ctx, "keep an endpoint", func(_ context.Context, t *txn) error {
			left = nil
			t.exec(insertEndpoint+unlessLeft, args...)
			t.exec(insertState, e.ID)
			t.each(appendID(&left), `SELECT endpoint_id FROM webhook_removals WHERE endpoint_id = $1`, e.ID)
			return nil
		})
		if err != nil || len(left) == 0 {
			return err
		}
		if err := s.removeAll(ctx, e.ID); err != nil {
			return err
		}
	}
}

// Endpoint returns an endpoint: see [delivery.EndpointStore].
func (s *Store) Endpoint(ctx context.Context, tenant string, id uuid.UUID) (w delivery.Watched, err error) {
	err = s.bounded(ctx, "read an endpoint", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, selectWatched+` WHERE e.id = $2 AND e.tenant = $3`, delivery.TenantOwner(tenant), id, tenant)
		if err != nil {
			return err
		}
		w, err = pgx.CollectExactlyOneRow(rows, scanWithKey)
		return notFound(err)
	})
	return w, err
}

func scanWithKey(row pgx.CollectableRow) (delivery.Watched, error) {
	var key string
	w, err := scanWatched(row, &key)
	w.PublicKey = key
	return w, err
}

// Endpoints lists a tenant's endpoints: see [delivery.EndpointStore].
func (s *Store) Endpoints(
	ctx context.Context, tenant string, before uuid.UUID, limit int,
) (list []delivery.Watched, err error) {
	const page = `
		WHERE e.tenant = $2 AND ($3 = '00000000-0000-0000-0000-000000000000'::uuid
			OR (e.created_at, e.id) < ((SELECT b.created_at FROM webhook_endpoints b WHERE b.id = $3 AND b.tenant = $2), $3))
		ORDER BY e.created_at DESC, e.id DESC LIMIT $4`
	err = s.bounded(ctx, "list endpoints", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, selectWatched+page, delivery.TenantOwner(tenant), tenant, before, limit)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, scanWithKey)
		return err
	})
	return list, err
}

// UpdateEndpoint changes an endpoint: see [delivery.EndpointStore].
func (s *Store) UpdateEndpoint(ctx context.Context, e delivery.Endpoint) error {
	const update = `
		UPDATE webhook_endpoints SET url = $3, description = $4, types = $5, metadata = $6::text::jsonb, timeout_us = $7,
			per_minute = $8, concurrency = $9, schedule_us = $10, header = $11::text::jsonb, include_result = $12,
			disabled = $13, changed_at = $14, version = version + 1
		WHERE id = $1 AND tenant = $2`
	const reset = `UPDATE webhook_states SET state = '{}', resume_at = '-infinity' WHERE endpoint_id = $1`
	args, err := endpointArgs(e)
	if err != nil {
		return fmt.Errorf("change an endpoint: %w", err)
	}
	return s.write(ctx, "change an endpoint", func(ctx context.Context, t *txn) error {
		disabled, version, err := lockEndpoint(ctx, t, e.Tenant, e.ID)
		if err != nil {
			return err
		}
		if version != e.Version {
			return delivery.ErrChanged
		}
		t.exec(update, args...)
		if disabled != "" && e.Disabled == "" {
			t.exec(reset, e.ID)
		}
		return nil
	})
}

// lockEndpoint locks the tenant's endpoint or is [jobs.ErrNotFound].
func lockEndpoint(
	ctx context.Context, t *txn, tenant string, id uuid.UUID,
) (disabled delivery.Reason, version int64, err error) {
	t.each(func(rows pgx.Rows) error { return rows.Scan(&disabled, &version) },
		`SELECT disabled, version FROM webhook_endpoints WHERE id = $1 AND tenant = $2 FOR NO KEY UPDATE`, id, tenant)
	if err = t.flush(ctx); err == nil && version == 0 {
		err = jobs.ErrNotFound
	}
	return disabled, version, err
}
