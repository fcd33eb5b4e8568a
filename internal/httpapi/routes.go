package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// route is one operation of openapi.yaml. A GET also answers HEAD.
type route struct {
	method, path string
	handle       func(*exchange) error
}

func (r route) handler() echo.HandlerFunc {
	return func(c echo.Context) error { return r.handle(of(c)) }
}

// routes lists all that the API serves.
func (a *API) routes() []route {
	if a.cfg.Service == nil {
		return a.operational()
	}
	all := append(a.operational(),
		route{http.MethodGet, "/openapi.yaml", serveDocument},
		route{http.MethodPost, "/v1/jobs", a.tenanted(a.submit)},
		route{http.MethodGet, "/v1/jobs", a.tenanted(a.list)},
		route{http.MethodGet, "/v1/jobs/:id", a.tenanted(a.get)},
		route{http.MethodDelete, "/v1/jobs/:id", a.tenanted(a.delete)},
		route{http.MethodPost, "/v1/jobs/:id/cancel", a.tenanted(a.cancel)},
		route{http.MethodPost, "/v1/jobs/:id/retry", a.tenanted(a.retry)},
		route{http.MethodGet, "/v1/jobs/:id/calls", a.tenanted(a.calls)},
	)
	if a.cfg.Lanes != nil {
		all = append(all,
			route{http.MethodGet, "/v1/lanes", a.lanes},
			route{http.MethodPost, "/v1/lanes/pause", a.pauseLane},
			route{http.MethodPost, "/v1/lanes/drain", a.drainLane},
			route{http.MethodPost, "/v1/lanes/resume", a.resumeLane},
			route{http.MethodPut, "/v1/lanes/limits", a.laneLimits},
		)
	}
	if a.cfg.Webhooks != nil {
		all = append(all, a.webhookRoutes()...)
	}
	if a.cfg.Batches != nil && a.cfg.Files != nil {
		all = append(all, a.batchRoutes()...)
	}
	if a.cfg.Follower != nil {
		all = append(all, route{http.MethodGet, "/v1/jobs/:id/events", a.tenanted(a.events)})
	}
	return all
}

// webhookRoutes are those of endpoints, deliveries and replays.
func (a *API) webhookRoutes() []route {
	const endpoints, endpoint = "/v1/webhook-endpoints", "/v1/webhook-endpoints/:id"
	return []route{
		{http.MethodPost, endpoints, a.tenanted(a.createEndpoint)},
		{http.MethodGet, endpoints, a.tenanted(a.listEndpoints)},
		{http.MethodGet, endpoint, a.tenanted(a.getEndpoint)},
		{http.MethodPatch, endpoint, a.tenanted(a.updateEndpoint)},
		{http.MethodDelete, endpoint, a.tenanted(a.deleteEndpoint)},
		{http.MethodPost, endpoint + "/test", a.tenanted(a.testEndpoint)},
		{http.MethodPost, endpoint + "/rotate", a.tenanted(a.rotateSecret)},
		{http.MethodPost, endpoint + "/replay", a.tenanted(a.startReplay)},
		{http.MethodGet, endpoint + "/replays", a.tenanted(a.listReplays)},
		{http.MethodGet, endpoint + "/deliveries", a.tenanted(a.endpointDeliveries)},
		{http.MethodGet, "/v1/jobs/:id/deliveries", a.tenanted(a.jobDeliveries)},
		{http.MethodGet, "/v1/deliveries/:id", a.tenanted(a.getDelivery)},
		{http.MethodPost, "/v1/deliveries/:id/redeliver", a.tenanted(a.redeliver)},
		{http.MethodGet, "/v1/webhook-replays/:id", a.tenanted(a.getReplay)},
		{http.MethodPost, "/v1/webhook-replays/:id/cancel", a.tenanted(a.cancelReplay)},
		{http.MethodPost, "/v1/webhook-secret/rotate", a.tenanted(a.rotateTenantSecret)},
	}
}

// operational are the routes for those who run Penstock.
func (a *API) operational() []route {
	all := []route{
		{http.MethodGet, "/healthz", a.health},
		{http.MethodGet, "/readyz", a.ready},
		{http.MethodGet, "/metrics", a.serveMetrics},
	}
	if a.cfg.Reload != nil {
		all = append(all, route{http.MethodPost, "/v1/admin/reload", a.reload})
	}
	return all
}
