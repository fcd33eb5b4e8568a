package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// CreateEndpoint keeps an endpoint: see [delivery.EndpointStore].
func (s *Store) CreateEndpoint(ctx context.Context, e delivery.Endpoint, secret delivery.Secret) error {
	_, err := change(ctx, s, "create an endpoint", func(ctx context.Context, t *statements) (struct{}, error) {
		var n int
		err := t.row(ctx, `SELECT count(*) FROM webhook_endpoints WHERE tenant = ? AND NOT per_job`, e.Tenant).Scan(&n)
		if err != nil {
			return struct{}{}, err
		}
		if n >= delivery.MaxEndpoints {
			return struct{}{}, delivery.ErrTooMany
		}
		if err := insertEndpoint(ctx, t, e); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, insertSecret(ctx, t, secret)
	})
	return err
}

// EnsureEndpoint keeps an endpoint that stands for the webhooks of jobs: see
// [delivery.EndpointStore]. One with its id may have been deleted: what is left of
// that goes before, for it would be the new one's.
func (s *Store) EnsureEndpoint(ctx context.Context, e delivery.Endpoint) error {
	for {
		done, err := s.ensureEndpoint(ctx, e)
		if err != nil || done {
			return err
		}
		if _, err := s.sweepRemoved(ctx, e.ID, sweptAtOnce); err != nil {
			return err
		}
	}
}

// ensureEndpoint reports false while something is left of a former one.
func (s *Store) ensureEndpoint(ctx context.Context, e delivery.Endpoint) (bool, error) {
	there, err := read(ctx, s, "look for an endpoint", func(ctx context.Context, q *statements) (bool, error) {
		return exists(ctx, q, `SELECT 1 FROM webhook_endpoints WHERE id = ?`, id(e.ID))
	})
	if err != nil || there {
		return there, err
	}
	return change(ctx, s, "keep an endpoint", func(ctx context.Context, t *statements) (bool, error) {
		if former, err := exists(ctx, t, `SELECT 1 FROM webhook_removals WHERE endpoint_id = ?`, id(e.ID)); err != nil || former {
			return false, err
		}
		there, err := exists(ctx, t, `SELECT 1 FROM webhook_endpoints WHERE id = ?`, id(e.ID))
		if err != nil || there {
			return there, err
		}
		return true, insertEndpoint(ctx, t, e)
	})
}

// exists reports whether a query has a row.
func exists(ctx context.Context, q *statements, query string, args ...any) (bool, error) {
	var one int
	return found(q.row(ctx, query, args...).Scan(&one))
}

func insertEndpoint(ctx context.Context, t *statements, e delivery.Endpoint) error {
	types, metadata, schedule, header, err := listsOf(e)
	if err != nil {
		return err
	}
	owner := e.ID
	if e.PerJob {
		owner = delivery.TenantOwner(e.Tenant)
	}
	_, err = t.exec(ctx, `
		INSERT INTO webhook_endpoints (id, tenant, secret_owner, url, description, types, metadata, timeout, per_minute,
			concurrency, schedule, header, include_result, disabled, per_job, version, created_at, changed_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id(e.ID), e.Tenant, id(owner), e.URL, e.Description, types, metadata, e.Timeout.Microseconds(), e.PerMinute,
		e.Concurrency, schedule, header, e.IncludeResult, string(e.Disabled), e.PerJob, e.Version, micros(e.CreatedAt),
		micros(e.ChangedAt))
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `INSERT INTO webhook_states (endpoint_id) VALUES (?)`, id(e.ID))
	return err
}

// listsOf returns what an endpoint's lists and maps are in the database.
func listsOf(e delivery.Endpoint) (types, metadata, schedule, header string, err error) {
	for _, l := range []struct {
		into  *string
		n     int
		value any
	}{
		{&types, len(e.Types), e.Types},
		{&metadata, len(e.Metadata), e.Metadata},
		{&schedule, len(e.Schedule), e.Schedule},
		{&header, len(e.Header), e.Header},
	} {
		if l.n == 0 {
			continue
		}
		b, err := json.Marshal(l.value)
		if err != nil {
			return "", "", "", "", fmt.Errorf("write an endpoint: %w", err)
		}
		*l.into = string(b)
	}
	return types, metadata, schedule, header, nil
}

// selectEndpoint reads endpoints with how they fare.
const selectEndpoint = `
	SELECT e.id, e.tenant, e.url, e.description, e.types, e.metadata, e.timeout, e.per_minute, e.concurrency, e.schedule,
		e.header, e.include_result, e.disabled, e.per_job, e.version, e.created_at, e.changed_at, s.state, coalesce((
			SELECT k.public_key FROM webhook_secrets k WHERE k.owner = e.secret_owner AND k.expires_at = 0
			ORDER BY k.created_at DESC LIMIT 1), '')
	FROM webhook_endpoints e CROSS JOIN webhook_states s ON s.endpoint_id = e.id`

func scanEndpoint(row scanner) (delivery.Watched, error) {
	var (
		w                                 delivery.Watched
		types, metadata, schedule, header string
		timeout, created, changed         int64
		state                             string
	)
	err := row.Scan(&w.ID, &w.Tenant, &w.URL, &w.Description, &types, &metadata, &timeout, &w.PerMinute, &w.Concurrency,
		&schedule, &header, &w.IncludeResult, &w.Disabled, &w.PerJob, &w.Version, &created, &changed, &state, &w.PublicKey)
	if err != nil {
		return delivery.Watched{}, err
	}
	w.Timeout, w.CreatedAt, w.ChangedAt = time.Duration(timeout)*time.Microsecond, when(created), when(changed)
	err = readLists([]list{
		{types, &w.Types}, {metadata, &w.Metadata}, {schedule, &w.Schedule}, {header, &w.Header}, {state, &w.State},
	})
	if err != nil {
		return delivery.Watched{}, fmt.Errorf("read endpoint %s: %w", w.ID, err)
	}
	return w, nil
}

// list is JSON that may be empty, and what it is read into.
type list struct {
	text string
	into any
}

func readLists(lists []list) error {
	for _, l := range lists {
		if l.text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(l.text), l.into); err != nil {
			return err
		}
	}
	return nil
}

// Endpoint returns an endpoint: see [delivery.EndpointStore].
func (s *Store) Endpoint(ctx context.Context, tenant string, endpoint uuid.UUID) (delivery.Watched, error) {
	return read(ctx, s, "read an endpoint", func(ctx context.Context, q *statements) (delivery.Watched, error) {
		return endpointOf(ctx, q, tenant, endpoint)
	})
}

func endpointOf(ctx context.Context, q *statements, tenant string, endpoint uuid.UUID) (delivery.Watched, error) {
	w, err := scanEndpoint(q.row(ctx, selectEndpoint+` WHERE e.id = ? AND e.tenant = ?`, id(endpoint), tenant))
	if ok, err := found(err); err != nil || !ok {
		return delivery.Watched{}, orNotFound(err)
	}
	return w, nil
}

// orNotFound is [jobs.ErrNotFound] unless there is another error.
func orNotFound(err error) error {
	if err == nil {
		return jobs.ErrNotFound
	}
	return err
}

// Endpoints lists a tenant's endpoints: see [delivery.EndpointStore].
func (s *Store) Endpoints(
	ctx context.Context, tenant string, before uuid.UUID, limit int,
) ([]delivery.Watched, error) {
	const (
		first = ` WHERE e.tenant = ? ORDER BY e.created_at DESC, e.id DESC LIMIT +?`
		next  = ` WHERE e.tenant = ?1 AND (e.created_at, e.id) < (
			SELECT created_at, id FROM webhook_endpoints WHERE id = ?2 AND tenant = ?1)
			ORDER BY e.created_at DESC, e.id DESC LIMIT +?3`
	)
	return read(ctx, s, "list endpoints", func(ctx context.Context, q *statements) ([]delivery.Watched, error) {
		if before == uuid.Nil {
			return all(ctx, q, scanEndpoint, selectEndpoint+first, tenant, limit)
		}
		return all(ctx, q, scanEndpoint, selectEndpoint+next, tenant, id(before), limit)
	})
}

// UpdateEndpoint replaces what may change of an endpoint: see [delivery.EndpointStore].
func (s *Store) UpdateEndpoint(ctx context.Context, e delivery.Endpoint) error {
	types, metadata, schedule, header, err := listsOf(e)
	if err != nil {
		return err
	}
	_, err = change(ctx, s, "change an endpoint", func(ctx context.Context, t *statements) (struct{}, error) {
		before, err := endpointOf(ctx, t, e.Tenant, e.ID)
		if err != nil {
			return struct{}{}, err
		}
		if before.Version != e.Version {
			return struct{}{}, delivery.ErrChanged
		}
		_, err = t.exec(ctx, `
			UPDATE webhook_endpoints SET url = ?, description = ?, types = ?, metadata = ?, timeout = ?, per_minute = ?,
				concurrency = ?, schedule = ?, header = ?, include_result = ?, disabled = ?, version = version + 1, changed_at = ?
			WHERE id = ?`,
			e.URL, e.Description, types, metadata, e.Timeout.Microseconds(), e.PerMinute, e.Concurrency, schedule, header,
			e.IncludeResult, string(e.Disabled), micros(e.ChangedAt), id(e.ID))
		if err != nil || before.Disabled == "" || e.Disabled != "" {
			return struct{}{}, err
		}
		_, err = t.exec(ctx, `UPDATE webhook_states SET resume_at = 0, state = '{}' WHERE endpoint_id = ?`, id(e.ID))
		return struct{}{}, err
	})
	return err
}

// DeleteEndpoint removes an endpoint: see [delivery.EndpointStore]. Its deliveries are seen
// no more, and go with Sweep.
func (s *Store) DeleteEndpoint(ctx context.Context, tenant string, endpoint uuid.UUID) error {
	_, err := change(ctx, s, "delete an endpoint", func(ctx context.Context, t *statements) (struct{}, error) {
		n, err := t.exec(ctx, `DELETE FROM webhook_endpoints WHERE id = ? AND tenant = ?`, id(endpoint), tenant)
		if err != nil {
			return struct{}{}, err
		}
		if n == 0 {
			return struct{}{}, jobs.ErrNotFound
		}
		for _, statement := range []string{
			`DELETE FROM webhook_secrets WHERE owner = ?`, `DELETE FROM webhook_states WHERE endpoint_id = ?`,
			`DELETE FROM webhook_replays WHERE endpoint_id = ?`, `INSERT INTO webhook_removals (endpoint_id) VALUES (?)`,
		} {
			if _, err := t.exec(ctx, statement, id(endpoint)); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}
