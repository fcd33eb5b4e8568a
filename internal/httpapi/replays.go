package httpapi

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// startReplay is POST /v1/webhook-endpoints/{id}/replay.
func (a *API) startReplay(x *exchange) error {
	id, err := x.webhookID(noEndpoint)
	if err != nil {
		return err
	}
	wanted, err := a.replayWanted(x)
	if err != nil {
		return err
	}
	wanted.Tenant, wanted.Endpoint = x.tenant, id
	ctx, cancel := a.storeContext(x)
	defer cancel()
	r, err := a.cfg.Webhooks.StartReplay(ctx, wanted)
	if err != nil {
		return err
	}
	x.made(replaysPath, r.ID)
	return writeJSON(x, http.StatusAccepted, encodeReplay(r))
}

// replayWanted reads which deliveries are to be sent again.
func (a *API) replayWanted(x *exchange) (delivery.Replay, error) {
	var since, until *time.Time
	var statuses *[]delivery.Status
	var types *[]string
	const when = `a time as in RFC 3339, such as "2030-01-31T12:00:00Z"`
	if err := unrepeatable(x); err != nil {
		return delivery.Replay{}, err
	}
	err := a.readFields(x, map[string]field{
		"since":  into(&since, when),
		"until":  into(&until, when),
		"status": list(&statuses, word[delivery.Status]),
		"types":  list(&types, word[string]),
	})
	var r delivery.Replay
	if since != nil {
		r.Since = since.UTC()
	}
	if until != nil {
		r.Until = until.UTC()
	}
	if statuses != nil {
		r.Statuses = *statuses
	}
	if types != nil {
		r.Types = *types
	}
	return r, err
}

// listReplays is GET /v1/webhook-endpoints/{id}/replays.
func (a *API) listReplays(x *exchange) error {
	id, err := x.bare(noEndpoint)
	if err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	all, err := a.cfg.Webhooks.Replays(ctx, x.tenant, id)
	if err != nil {
		return err
	}
	return writePage(x, all, false, encodeReplay, func(r delivery.Replay) uuid.UUID { return r.ID })
}

// getReplay is GET /v1/webhook-replays/{id}.
func (a *API) getReplay(x *exchange) error {
	id, err := x.bare(noReplay)
	if err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	r, err := a.cfg.Webhooks.Replay(ctx, x.tenant, id)
	if err != nil {
		return err
	}
	return writeJSON(x, http.StatusOK, encodeReplay(r))
}

// cancelReplay is POST /v1/webhook-replays/{id}/cancel. One that has ended is answered as
// it ended.
func (a *API) cancelReplay(x *exchange) error {
	id, err := x.bare(noReplay)
	if err != nil {
		return err
	}
	if err := a.readNothing(x); err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	r, err := a.cfg.Webhooks.CancelReplay(ctx, x.tenant, id)
	if err != nil {
		return err
	}
	return writeJSON(x, http.StatusAccepted, encodeReplay(r))
}

// replayJSON is a replay as the API tells of it.
type replayJSON struct {
	ID         uuid.UUID             `json:"id"`
	Object     string                `json:"object"`
	EndpointID uuid.UUID             `json:"endpoint_id"`
	Selects    selectionJSON         `json:"selects"`
	Status     delivery.ReplayStatus `json:"status"`
	Total      int64                 `json:"total"`
	Queued     int64                 `json:"queued"`
	Delivered  int64                 `json:"delivered"`
	Failed     int64                 `json:"failed"`
	CreatedAt  time.Time             `json:"created_at"`
	FinishedAt *time.Time            `json:"finished_at"`
}

// selectionJSON is which deliveries a replay sends again.
type selectionJSON struct {
	Since  time.Time         `json:"since"`
	Until  *time.Time        `json:"until"`
	Status []delivery.Status `json:"status"`
	Types  []string          `json:"types"`
}

func encodeReplay(r delivery.Replay) replayJSON {
	return replayJSON{
		ID: r.ID, Object: "webhook_replay", EndpointID: r.Endpoint,
		Selects: selectionJSON{
			Since: r.Since.UTC(), Until: timeJSON(r.Until),
			Status: append([]delivery.Status{}, r.Statuses...), Types: append([]string{}, r.Types...),
		},
		Status: r.Status, Total: r.Total, Queued: r.Queued, Delivered: r.Delivered, Failed: r.Failed,
		CreatedAt: r.CreatedAt.UTC(), FinishedAt: timeJSON(r.FinishedAt),
	}
}
