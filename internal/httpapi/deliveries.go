package httpapi

import (
	"encoding/base64"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// endpointDeliveries is GET /v1/webhook-endpoints/{id}/deliveries.
func (a *API) endpointDeliveries(x *exchange) error {
	id, err := x.webhookID(noEndpoint)
	if err != nil {
		return err
	}
	q, err := deliveryQuery(x)
	if err != nil {
		return err
	}
	q.Endpoint = id
	return a.listDeliveries(x, q)
}

// jobDeliveries is GET /v1/jobs/{id}/deliveries.
func (a *API) jobDeliveries(x *exchange) error {
	id, err := x.jobID()
	if err != nil {
		return err
	}
	q, err := deliveryQuery(x)
	if err != nil {
		return err
	}
	q.Job = id
	ctx, cancel := a.storeContext(x)
	defer cancel()
	if _, err := a.cfg.Service.Job(ctx, x.tenant, id); err != nil {
		return err
	}
	return a.listDeliveries(x, q)
}

// deliveryQuery reads which of an endpoint's or a job's deliveries are wanted.
func deliveryQuery(x *exchange) (delivery.Query, error) {
	q, err := parseQuery(x)
	if err != nil {
		return delivery.Query{}, err
	}
	selected := delivery.Query{
		Tenant: x.tenant,
		Status: delivery.Status(q.oneOf("status", "pending", "delivered", "failed", "skipped")),
		Type:   q.oneOf("type", append(delivery.Types(), delivery.EndpointTest)...),
		Before: q.cursor(),
		Limit:  q.limit(),
	}
	return selected, q.err()
}

func (a *API) listDeliveries(x *exchange, q delivery.Query) error {
	ctx, cancel := a.storeContext(x)
	defer cancel()
	page, more, err := a.cfg.Webhooks.Deliveries(ctx, q)
	if err != nil {
		return err
	}
	return writePage(x, page, more, encodeDelivery, func(d delivery.Delivery) uuid.UUID { return d.ID })
}

// getDelivery is GET /v1/deliveries/{id}.
func (a *API) getDelivery(x *exchange) error {
	id, err := x.bare(noDelivery)
	if err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	d, attempts, err := a.cfg.Webhooks.Delivery(ctx, x.tenant, id)
	if err != nil {
		return err
	}
	answer := encodeDelivery(d)
	answer.Attempts = make([]attemptJSON, len(attempts))
	for i, attempt := range attempts {
		answer.Attempts[i] = encodeAttempt(attempt)
	}
	return writeJSON(x, http.StatusOK, answer)
}

// redeliver is POST /v1/deliveries/{id}/redeliver.
func (a *API) redeliver(x *exchange) error {
	id, err := a.command(x, noDelivery)
	if err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	d, err := a.cfg.Webhooks.Redeliver(ctx, x.tenant, id)
	if err != nil {
		return err
	}
	x.made(deliveriesPath, d.ID)
	return writeJSON(x, http.StatusAccepted, encodeDelivery(d))
}

// deliveryJSON is a delivery as the API tells of it.
type deliveryJSON struct {
	ID            uuid.UUID        `json:"id"`
	Object        string           `json:"object"`
	EndpointID    uuid.UUID        `json:"endpoint_id"`
	EventID       string           `json:"event_id"`
	JobID         *uuid.UUID       `json:"job_id"`
	Type          string           `json:"type"`
	URL           *string          `json:"url"`
	Status        delivery.Status  `json:"status"`
	Trigger       delivery.Trigger `json:"trigger"`
	ReplayID      *uuid.UUID       `json:"replay_id"`
	AttemptCount  int              `json:"attempt_count"`
	NextAttemptAt *time.Time       `json:"next_attempt_at"`
	Thin          bool             `json:"thin"`
	CreatedAt     time.Time        `json:"created_at"`
	FinishedAt    *time.Time       `json:"finished_at"`
	// Attempts are there when one delivery is asked for; null in lists.
	Attempts []attemptJSON `json:"attempts"`
}

// attemptJSON is an attempt as the API tells of it.
type attemptJSON struct {
	N             int               `json:"n"`
	Object        string            `json:"object"`
	At            time.Time         `json:"at"`
	Trigger       delivery.Trigger  `json:"trigger"`
	StatusCode    *int              `json:"status_code"`
	ErrorClass    *delivery.Failure `json:"error_class"`
	LatencyMS     int64             `json:"latency_ms"`
	RemoteAddress *string           `json:"remote_address"`
	RetryAfter    *string           `json:"retry_after"`
	Answer        *string           `json:"answer"`
	// Encoding is how the answer's bytes are told: utf-8 as they are, or base64.
	Encoding      *string    `json:"answer_encoding"`
	NextAttemptAt *time.Time `json:"next_attempt_at"`
}

func encodeDelivery(d delivery.Delivery) deliveryJSON {
	return deliveryJSON{
		ID: d.ID, Object: "delivery", EndpointID: d.Endpoint, EventID: delivery.EventID(d.Event), JobID: orNull(d.Job),
		Type: d.Type, URL: orNull(d.URL), Status: d.Status, Trigger: d.Trigger, ReplayID: orNull(d.Replay),
		AttemptCount: d.Attempts, NextAttemptAt: nextAttempt(d.Status, d.DueAt), Thin: d.Thin,
		CreatedAt: d.CreatedAt.UTC(), FinishedAt: timeJSON(d.FinishedAt),
	}
}

func encodeAttempt(r delivery.Record) attemptJSON {
	out := attemptJSON{
		N: r.N, Object: "delivery_attempt", At: r.At.UTC(), Trigger: r.Trigger, StatusCode: orNull(r.Attempt.Status),
		ErrorClass: orNull(r.Failure), LatencyMS: r.Latency.Milliseconds(), RemoteAddress: orNull(r.RemoteAddr),
		NextAttemptAt: nextAttempt(r.Status, r.DueAt),
	}
	if r.RetryAfter > 0 {
		out.RetryAfter = orNull(r.RetryAfter.String())
	}
	if len(r.Answer) > 0 {
		out.Answer, out.Encoding = encodeAnswer(r.Answer)
	}
	return out
}

func nextAttempt(status delivery.Status, due time.Time) *time.Time {
	if status != delivery.StatusPending {
		return nil
	}
	return timeJSON(due)
}

// encodeAnswer returns the beginning of an answer's body as text, or in base64 if it is
// none. A character that was cut in two at the end is left out.
func encodeAnswer(body []byte) (answer, encoding *string) {
	text := body
	for cut := 1; cut < utf8.UTFMax && len(body) == delivery.MaxAnswer && !utf8.Valid(text); cut++ {
		text = body[:len(body)-cut]
	}
	if utf8.Valid(text) {
		return new(string(text)), new("utf-8")
	}
	return new(base64.StdEncoding.EncodeToString(body)), new("base64")
}
