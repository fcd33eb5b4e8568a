package postgres

import (
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// audience is who is told of the end of a job.
type audience struct {
	// webhook says that the job has one of its own, which is told beside the endpoints.
	// batch says that it is of one: then nobody is.
	webhook, batch bool
	// response says that its end is told as that of a response, too.
	response bool
}

func audienceOf(j jobs.Job) audience {
	return audience{webhook: j.Webhook.Endpoint != uuid.Nil, batch: j.Batch != uuid.Nil, response: j.Response}
}

// told is the end of a job that is told.
type told struct {
	tenant string
	job    uuid.UUID
	status jobs.Status
	at     time.Time
	audience
}

// event is one that tells of the end of a job. silent says that nobody is told.
type event struct {
	jobs.Event

	silent bool
}

func (e told) event(eventType string) event {
	id, err := delivery.NewEventID(e.at)
	if err != nil {
		panic(err) // the system has no randomness
	}
	return event{jobs.Event{ID: id, Tenant: e.tenant, Job: e.job, Type: eventType, CreatedAt: e.at}, e.batch}
}

// tell queues the events of jobs that have ended, and the deliveries of those.
//
// Whoever does so waits for no courier: endpoints are only read. A delivery to one that
// is disabled or removed meanwhile is swept.
func tell(t *txn, ends []told) {
	var all, withOwn, responses []event
	for _, end := range ends {
		e := end.event(jobs.EventType(end.status))
		all = append(all, e)
		if end.webhook && !end.batch {
			withOwn = append(withOwn, e)
		}
		if end.response {
			responses = append(responses, end.event(jobs.ResponseEventType(end.status, false)))
		}
	}
	tellEvents(t, asGiven, toEndpoints, all)
	tellEvents(t, asGiven, toOwnWebhooks, withOwn)
	tellEvents(t, asAnswered, toEndpoints, responses)
}

// The type of the event v: that which it has, or that of a response of which the answer
// says whether it was completed.
const (
	asGiven    = `v.type`
	asAnswered = `CASE WHEN v.type = '` + jobs.EventResponseCompleted + `' AND (
			SELECT r.incomplete FROM (SELECT coalesce(j.answer_of, j.execution_id) AS execution_id FROM jobs j WHERE j.id = v.job_id OFFSET 0) j
			CROSS JOIN LATERAL (SELECT r.incomplete FROM results r WHERE r.execution_id = j.execution_id OFFSET 0) r
		) THEN '` + jobs.EventResponseIncomplete + `' ELSE v.type END AS type`
)

// idOfDelivery is [delivery.IDOf] of the event v.id and the endpoint e.id, as b in h.
const idOfDelivery = `
	CROSS JOIN LATERAL (
		SELECT substring(uuid_send(v.id) FOR 6) || substring(sha256(uuid_send(v.id) || uuid_send(e.id)) FROM 23) AS b OFFSET 0
	) h`

// made is what an outcome makes of the events v and the endpoints e they go to.
const made = `
	SELECT encode(set_byte(set_byte(h.b, 6, (get_byte(h.b, 6) & 15) | 128), 8, (get_byte(h.b, 8) & 63) | 128), 'hex')::uuid AS id,
		e.tenant, e.id AS endpoint_id, v.id AS event_id, v.job_id, v.type, e.disabled, v.at,
		v.at + coalesce(e.schedule_us[1], $6) * interval '1 microsecond' AS due_at`

// toEndpoints keeps the events, and makes what goes to the endpoints that want them: see
// [delivery.Endpoint.Wants].
const toEndpoints = `told AS (
		INSERT INTO events (id, job_id, tenant, type, created_at) SELECT id, job_id, tenant, type, at FROM v
	), made AS MATERIALIZED (` + made + `, '' AS url
		FROM v
		CROSS JOIN LATERAL (
			SELECT * FROM webhook_endpoints e WHERE e.tenant = v.tenant AND NOT e.per_job AND NOT v.silent OFFSET 0
		) e` +
	idOfDelivery + `
		WHERE (e.types = '{}' OR (
				SELECT true FROM unnest(e.types) AS w (type)
				WHERE w.type = v.type OR right(w.type, 1) = '*' AND starts_with(v.type, left(w.type, -1)) LIMIT 1
			)) AND (e.metadata = '{}' OR (SELECT j.metadata FROM jobs j WHERE j.id = v.job_id) @> e.metadata)
	)`

// toOwnWebhooks makes what goes to the webhooks that jobs have themselves.
const toOwnWebhooks = `made AS MATERIALIZED (` + made + `, j.webhook_url AS url
		FROM v
		CROSS JOIN LATERAL (SELECT j.webhook_url, j.webhook_endpoint FROM jobs j WHERE j.id = v.job_id OFFSET 0) j
		CROSS JOIN LATERAL (
			SELECT * FROM webhook_endpoints e WHERE e.id = j.webhook_endpoint AND e.tenant = v.tenant OFFSET 0
		) e` + idOfDelivery + `
	)`

// tellEvents queues what query makes of the events, each of the type given. What goes to
// a disabled endpoint is skipped.
func tellEvents(t *txn, ofType, query string, events []event) {
	if len(events) == 0 {
		return
	}
	t.exec(`
		WITH v AS MATERIALIZED (
			SELECT v.id, v.job_id, v.tenant, `+ofType+`, v.at, v.silent
			FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $7::boolean[])
				AS v (id, job_id, tenant, type, at, silent)
		), `+query+`, skipped AS (
			INSERT INTO deliveries (id, tenant, endpoint_id, event_id, job_id, type, url, status, trigger, attempts, step, thin,
				created_at, finished_at)
			SELECT id, tenant, endpoint_id, event_id, job_id, type, url, 'skipped', 'event', 0, 0, false, at, at
			FROM made WHERE disabled <> ''
		)
		INSERT INTO pending_deliveries (id, tenant, endpoint_id, event_id, job_id, type, url, trigger, bulk, attempts, step,
			thin, due_at, first_due_at, created_at)
		SELECT id, tenant, endpoint_id, event_id, job_id, type, url, 'event', false, 0, 0, false, due_at, due_at, at
		FROM made WHERE disabled = ''`,
		column(events, func(e event) uuid.UUID { return e.ID }),
		column(events, func(e event) uuid.UUID { return e.Job }),
		column(events, func(e event) string { return e.Tenant }),
		column(events, func(e event) string { return e.Type }),
		column(events, func(e event) time.Time { return e.CreatedAt }),
		delivery.DefaultSchedule[0].Microseconds(),
		column(events, func(e event) bool { return e.silent }))
}
