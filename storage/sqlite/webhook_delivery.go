package sqlite

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// fact is an event with what decides to whom it goes.
type fact struct {
	delivery.Event

	// job is nil when it is of none.
	job      uuid.UUID
	metadata map[string]string
	webhook  jobs.Webhook
}

// wanted reports whether the event is for an endpoint, and where it goes if that is not
// the endpoint's own URL.
func (f fact) wanted(e delivery.Endpoint) (url string, ok bool) {
	switch {
	case f.Only != uuid.Nil:
		return "", e.ID == f.Only
	case e.ID == f.Except:
		return "", false
	case e.PerJob:
		return f.webhook.URL, e.ID == f.webhook.Endpoint
	default:
		return "", e.Wants(f.Type, f.metadata)
	}
}

// insertDeliveries makes the deliveries of an event.
func insertDeliveries(ctx context.Context, t *statements, f fact) error {
	endpoints, err := all(ctx, t, scanAddressee, `
		SELECT id, per_job, types, metadata, schedule, disabled FROM webhook_endpoints WHERE tenant = ?`, f.Tenant)
	if err != nil {
		return err
	}
	for _, e := range endpoints {
		url, ok := f.wanted(e)
		if !ok {
			continue
		}
		if err := insertDelivery(ctx, t, f, e, url); err != nil {
			return err
		}
	}
	return nil
}

// scanAddressee reads of an endpoint what decides whether and when an event goes there.
func scanAddressee(row scanner) (delivery.Endpoint, error) {
	var e delivery.Endpoint
	var types, metadata, schedule string
	if err := row.Scan(&e.ID, &e.PerJob, &types, &metadata, &schedule, &e.Disabled); err != nil {
		return delivery.Endpoint{}, err
	}
	return e, readLists([]list{{types, &e.Types}, {metadata, &e.Metadata}, {schedule, &e.Schedule}})
}

func insertDelivery(ctx context.Context, t *statements, f fact, e delivery.Endpoint, url string) error {
	status, finished := delivery.StatusPending, int64(0)
	if e.Disabled != "" {
		status, finished = delivery.StatusSkipped, micros(f.CreatedAt)
	}
	_, err := t.exec(ctx, `
		INSERT INTO deliveries (id, tenant, endpoint_id, event_id, job_id, type, url, status, trigger, due_at, first_due_at,
			created_at, finished_at)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12)`,
		id(delivery.IDOf(f.ID, e.ID)), f.Tenant, id(e.ID), id(f.ID), idOrNull(f.job), f.Type, url, string(status),
		string(f.Trigger), micros(f.CreatedAt.Add(firstDelay(e))), micros(f.CreatedAt), finished)
	return err
}

// firstDelay is how long after the event it is sent to the endpoint.
func firstDelay(e delivery.Endpoint) time.Duration {
	if len(e.Schedule) == 0 {
		return delivery.DefaultSchedule[0]
	}
	return e.Schedule[0]
}

// selectDelivery reads deliveries whose endpoint is there.
const selectDelivery = selectDeliveryHead + selectDeliveryTail

const (
	selectDeliveryHead = `
		SELECT d.id, d.tenant, d.endpoint_id, d.event_id, d.job_id, d.type, d.url, d.status, d.trigger, d.replay_id, d.attempts,
			d.step, d.thin, CASE d.status WHEN 'pending' THEN d.due_at ELSE 0 END, d.created_at, d.finished_at`
	selectDeliveryTail = ` FROM deliveries d CROSS JOIN webhook_endpoints e ON e.id = d.endpoint_id`
)

func scanDelivery(row scanner) (delivery.Delivery, error) { return scanDeliveryAnd(row) }

// scanDeliveryAnd reads a delivery and what stands behind it.
func scanDeliveryAnd(row scanner, more ...any) (delivery.Delivery, error) {
	var d delivery.Delivery
	var job, replay []byte
	var due, created, finished int64
	err := row.Scan(append([]any{
		&d.ID, &d.Tenant, &d.Endpoint, &d.Event, &job, &d.Type, &d.URL, &d.Status, &d.Trigger, &replay, &d.Attempts,
		&d.Step, &d.Thin, &due, &created, &finished,
	}, more...)...)
	copy(d.Job[:], job)
	copy(d.Replay[:], replay)
	d.DueAt, d.CreatedAt, d.FinishedAt = when(due), when(created), when(finished)
	return d, err
}

// Deliveries lists deliveries: see [delivery.EndpointStore].
func (s *Store) Deliveries(ctx context.Context, query delivery.Query) ([]delivery.Delivery, error) {
	return read(ctx, s, "list deliveries", func(ctx context.Context, q *statements) ([]delivery.Delivery, error) {
		if query.Endpoint != uuid.Nil {
			if _, err := endpointOf(ctx, q, query.Tenant, query.Endpoint); err != nil {
				return nil, err
			}
		}
		if query.Job != uuid.Nil {
			if _, _, err := executionOf(ctx, q, query.Tenant, query.Job); err != nil {
				return nil, err
			}
		}
		if query.Job != uuid.Nil || query.Status != "" {
			return listDeliveries(ctx, q, query)
		}
		return listOfEach(ctx, q, query)
	})
}

// listOfEach merges the lists of each status, as they are in the index.
func listOfEach(ctx context.Context, q *statements, query delivery.Query) ([]delivery.Delivery, error) {
	var merged []delivery.Delivery
	for _, query.Status = range []delivery.Status{
		delivery.StatusPending, delivery.StatusDelivered, delivery.StatusFailed, delivery.StatusSkipped,
	} {
		list, err := listDeliveries(ctx, q, query)
		if err != nil {
			return nil, err
		}
		merged = append(merged, list...)
	}
	slices.SortFunc(merged, func(a, b delivery.Delivery) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	return merged[:min(len(merged), query.Limit)], nil
}

// listDeliveries runs one of a few statements.
func listDeliveries(ctx context.Context, q *statements, query delivery.Query) ([]delivery.Delivery, error) {
	text, args := selectDelivery+` WHERE d.tenant = ?`, []any{query.Tenant}
	add := func(condition string, value any) { text, args = text+condition, append(args, value) }
	if query.Job != uuid.Nil {
		add(` AND d.job_id = ?`, id(query.Job))
	}
	if query.Endpoint != uuid.Nil {
		add(` AND d.endpoint_id = ?`, id(query.Endpoint))
	}
	if query.Status != "" {
		add(` AND d.status = ?`, string(query.Status))
	}
	if query.Type != "" {
		add(` AND d.type = ?`, query.Type)
	}
	if query.Before != uuid.Nil {
		add(` AND d.id < ?`, id(query.Before))
	}
	add(` ORDER BY d.id DESC LIMIT +?`, query.Limit)
	return all(ctx, q, scanDelivery, text, args...)
}

// Delivery returns a delivery with its attempts: see [delivery.EndpointStore].
func (s *Store) Delivery(
	ctx context.Context, tenant string, deliveryID uuid.UUID,
) (delivery.Delivery, []delivery.Record, error) {
	type attempted struct {
		delivery.Delivery
		attempts []delivery.Record
	}
	got, err := read(ctx, s, "read a delivery", func(ctx context.Context, q *statements) (a attempted, err error) {
		if a.Delivery, err = deliveryOf(ctx, q, tenant, deliveryID); err != nil {
			return attempted{}, err
		}
		a.attempts, err = attemptsOf(ctx, q, a.Delivery)
		return a, err
	})
	return got.Delivery, got.attempts, err
}

func deliveryOf(ctx context.Context, q *statements, tenant string, deliveryID uuid.UUID) (delivery.Delivery, error) {
	d, err := scanDelivery(q.row(ctx, selectDelivery+` WHERE d.id = ? AND d.tenant = ?`, id(deliveryID), tenant))
	if ok, err := found(err); err != nil || !ok {
		return delivery.Delivery{}, orNotFound(err)
	}
	return d, nil
}

// attemptsOf lists a delivery's attempts, oldest first.
func attemptsOf(ctx context.Context, q *statements, d delivery.Delivery) ([]delivery.Record, error) {
	scan := func(row scanner) (delivery.Record, error) {
		r := delivery.Record{Delivery: d.ID, Endpoint: d.Endpoint, Tenant: d.Tenant}
		var at, retryAfter, latency, due int64
		var key []byte
		err := row.Scan(&r.N, &r.Trigger, &at, &r.Verdict, &r.Failure, &r.Attempt.Status, &retryAfter, &latency,
			&r.RemoteAddr, &r.Answer, &key, &r.Status, &r.Step, &due, &r.Thin)
		copy(r.KeyID[:], key)
		r.At, r.DueAt = when(at), when(due)
		r.RetryAfter, r.Latency = time.Duration(retryAfter)*time.Microsecond, time.Duration(latency)*time.Microsecond
		return r, err
	}
	return all(ctx, q, scan, `
		SELECT n, trigger, at, verdict, failure, http_status, retry_after, latency, remote_addr, answer, key_id, status,
			step, due_at, thin
		FROM delivery_attempts WHERE delivery_id = ? ORDER BY n`, id(d.ID))
}

// Redeliver makes a delivery due anew: see [delivery.EndpointStore].
func (s *Store) Redeliver(
	ctx context.Context, tenant string, deliveryID uuid.UUID, at time.Time,
) (delivery.Delivery, error) {
	return change(ctx, s, "redeliver", func(ctx context.Context, t *statements) (delivery.Delivery, error) {
		d, err := deliveryOf(ctx, t, tenant, deliveryID)
		if err != nil {
			return delivery.Delivery{}, err
		}
		e, err := endpointOf(ctx, t, tenant, d.Endpoint)
		if err != nil {
			return delivery.Delivery{}, err
		}
		if e.Disabled != "" {
			return delivery.Delivery{}, delivery.ErrDisabled
		}
		_, err = t.exec(ctx, `
			UPDATE deliveries SET status = 'pending', trigger = ?1, replay_id = NULL, bulk = 0, step = 0, due_at = ?2,
				first_due_at = ?2, finished_at = 0
			WHERE id = ?3`, string(delivery.TriggerRedeliver), micros(at), id(deliveryID))
		if err != nil {
			return delivery.Delivery{}, err
		}
		return deliveryOf(ctx, t, tenant, deliveryID)
	})
}
