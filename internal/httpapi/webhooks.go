package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// Webhooks is what the API needs of [delivery.Service].
type Webhooks interface {
	Create(ctx context.Context, tenant string, c delivery.Change, s delivery.Signature) (delivery.Watched, delivery.Secret, error)
	Get(ctx context.Context, tenant string, id uuid.UUID) (delivery.Watched, error)
	List(ctx context.Context, tenant string, before uuid.UUID, limit int) (page []delivery.Watched, more bool, err error)
	Update(ctx context.Context, tenant string, id uuid.UUID, c delivery.Change) (delivery.Watched, error)
	Delete(ctx context.Context, tenant string, id uuid.UUID) error
	Rotate(ctx context.Context, tenant string, id uuid.UUID, s delivery.Signature, overlap *time.Duration) (delivery.Rotation, error)
	RotateTenantSecret(ctx context.Context, tenant string, s delivery.Signature, overlap *time.Duration) (delivery.Rotation, error)
	Test(ctx context.Context, tenant string, id uuid.UUID) (delivery.Delivery, error)

	Deliveries(ctx context.Context, q delivery.Query) (page []delivery.Delivery, more bool, err error)
	Delivery(ctx context.Context, tenant string, id uuid.UUID) (delivery.Delivery, []delivery.Record, error)
	Redeliver(ctx context.Context, tenant string, id uuid.UUID) (delivery.Delivery, error)

	StartReplay(ctx context.Context, r delivery.Replay) (delivery.Replay, error)
	Replay(ctx context.Context, tenant string, id uuid.UUID) (delivery.Replay, error)
	Replays(ctx context.Context, tenant string, endpoint uuid.UUID) ([]delivery.Replay, error)
	CancelReplay(ctx context.Context, tenant string, id uuid.UUID) (delivery.Replay, error)
}

var _ Webhooks = (*delivery.Service)(nil)

// Where things of webhooks are.
const (
	endpointsPath  = "/v1/webhook-endpoints/"
	deliveriesPath = "/v1/deliveries/"
	replaysPath    = "/v1/webhook-replays/"
)

// webhookID returns the id in the path of a request that asks for something of webhooks.
func (x *exchange) webhookID(notFound string) (uuid.UUID, error) {
	id, err := x.pathID()
	if err != nil {
		return uuid.Nil, &jobs.Error{Code: jobs.CodeNotFound, Message: notFound}
	}
	x.webhook = id
	return id, nil
}

const (
	noEndpoint = "no such webhook endpoint"
	noDelivery = "no such delivery"
	noReplay   = "no such replay"
)

// bare returns the id in the path of a request that has no query.
func (x *exchange) bare(notFound string) (uuid.UUID, error) {
	id, err := x.webhookID(notFound)
	if err != nil {
		return uuid.Nil, err
	}
	return id, noQuery(x)
}

// command returns the id in the path of a request that says nothing else.
func (a *API) command(x *exchange, notFound string) (uuid.UUID, error) {
	id, err := x.webhookID(notFound)
	if err != nil {
		return uuid.Nil, err
	}
	if err := unrepeatable(x); err != nil {
		return uuid.Nil, err
	}
	return id, a.readNothing(x)
}

// unrepeatable refuses a key, which would not be heeded, and a query.
func unrepeatable(x *exchange) error {
	if err := noIdempotencyKey(x.Request().Header); err != nil {
		return err
	}
	return noQuery(x)
}

// maxFields bounds what is said about something of webhooks, in bytes.
const maxFields = 64 << 10

// readFields reads a body that is an object of no other fields. None says nothing.
func (a *API) readFields(x *exchange, known map[string]field) error {
	body, err := a.readSmall(x, maxFields)
	if err != nil || body == nil {
		return err
	}
	d := &decoder{nulls: true}
	if d.object("", body, known); len(d.errs) > 0 {
		return d.errs
	}
	return nil
}

// made says where something of webhooks is that was made, or made anew.
func (x *exchange) made(path string, id uuid.UUID) {
	x.webhook = id
	x.header().Set("Location", path+id.String())
}

// writePage answers with a page of a list. T has an id, which is where it goes on.
func writePage[T, J any](x *exchange, page []T, more bool, encode func(T) J, id func(T) uuid.UUID) error {
	answer := listJSON[J]{Data: make([]J, len(page)), HasMore: more}
	for i, one := range page {
		answer.Data[i] = encode(one)
	}
	if more && len(page) > 0 {
		cursor := encodeCursor(id(page[len(page)-1]))
		answer.NextCursor = &cursor
	}
	return writeJSON(x, http.StatusOK, answer)
}
