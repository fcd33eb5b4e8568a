package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// createEndpoint is POST /v1/webhook-endpoints.
func (a *API) createEndpoint(x *exchange) error {
	if err := unrepeatable(x); err != nil {
		return err
	}
	var change delivery.Change
	var signature string
	known := endpointFields(&change)
	known["signature"] = text(&signature)
	if err := a.readFields(x, known); err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	made, secret, err := a.cfg.Webhooks.Create(ctx, x.tenant, change, delivery.Signature(signature))
	if err != nil {
		return err
	}
	x.made(endpointsPath, made.ID)
	x.header().Set("Cache-Control", "no-store") // it has the secret
	answer := encodeEndpoint(made)
	answer.Secret = &secret.Key
	return writeJSON(x, http.StatusCreated, answer)
}

// listEndpoints is GET /v1/webhook-endpoints.
func (a *API) listEndpoints(x *exchange) error {
	q, err := parseQuery(x)
	if err != nil {
		return err
	}
	before, limit := q.cursor(), q.limit()
	if err := q.err(); err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	page, more, err := a.cfg.Webhooks.List(ctx, x.tenant, before, limit)
	if err != nil {
		return err
	}
	return writePage(x, page, more, encodeEndpoint, func(w delivery.Watched) uuid.UUID { return w.ID })
}

// getEndpoint is GET /v1/webhook-endpoints/{id}.
func (a *API) getEndpoint(x *exchange) error {
	id, err := x.bare(noEndpoint)
	if err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	found, err := a.cfg.Webhooks.Get(ctx, x.tenant, id)
	if err != nil {
		return err
	}
	return writeJSON(x, http.StatusOK, encodeEndpoint(found))
}

// updateEndpoint is PATCH /v1/webhook-endpoints/{id}.
func (a *API) updateEndpoint(x *exchange) error {
	id, err := x.bare(noEndpoint)
	if err != nil {
		return err
	}
	var change delivery.Change
	if err := a.readFields(x, endpointFields(&change)); err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	changed, err := a.cfg.Webhooks.Update(ctx, x.tenant, id, change)
	if err != nil {
		return err
	}
	return writeJSON(x, http.StatusOK, encodeEndpoint(changed))
}

// deleteEndpoint is DELETE /v1/webhook-endpoints/{id}.
func (a *API) deleteEndpoint(x *exchange) error {
	id, err := x.bare(noEndpoint)
	if err != nil {
		return err
	}
	if err := a.readNothing(x); err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	if err := a.cfg.Webhooks.Delete(ctx, x.tenant, id); err != nil {
		return err
	}
	return x.NoContent(http.StatusNoContent)
}

// testEndpoint is POST /v1/webhook-endpoints/{id}/test: a delivery like any other.
func (a *API) testEndpoint(x *exchange) error {
	id, err := a.command(x, noEndpoint)
	if err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	d, err := a.cfg.Webhooks.Test(ctx, x.tenant, id)
	if err != nil {
		return err
	}
	x.made(deliveriesPath, d.ID)
	return writeJSON(x, http.StatusAccepted, encodeDelivery(d))
}

// rotateSecret is POST /v1/webhook-endpoints/{id}/rotate.
func (a *API) rotateSecret(x *exchange) error {
	id, err := x.webhookID(noEndpoint)
	if err != nil {
		return err
	}
	return a.rotate(x, &id, func(ctx context.Context, s delivery.Signature, overlap *time.Duration) (delivery.Rotation, error) {
		return a.cfg.Webhooks.Rotate(ctx, x.tenant, id, s, overlap)
	})
}

// rotateTenantSecret is POST /v1/webhook-secret/rotate: the secret that signs what goes to
// the webhooks of the tenant's jobs.
func (a *API) rotateTenantSecret(x *exchange) error {
	return a.rotate(x, nil, func(ctx context.Context, s delivery.Signature, overlap *time.Duration) (delivery.Rotation, error) {
		return a.cfg.Webhooks.RotateTenantSecret(ctx, x.tenant, s, overlap)
	})
}

func (a *API) rotate(
	x *exchange, endpoint *uuid.UUID, do func(context.Context, delivery.Signature, *time.Duration) (delivery.Rotation, error),
) error {
	if err := unrepeatable(x); err != nil {
		return err
	}
	var overlap *time.Duration
	var signature string
	if err := a.readFields(x, map[string]field{"overlap": span(&overlap), "signature": text(&signature)}); err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	made, err := do(ctx, delivery.Signature(signature), overlap)
	if err != nil {
		return err
	}
	x.header().Set("Cache-Control", "no-store")
	return writeJSON(x, http.StatusOK, encodeRotation(endpoint, made))
}
