package httpapi

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count requests by the pattern of their route, so that no id becomes
// a label.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics(to prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_requests_total",
			Help: "Answered requests. Code 499 is a connection that closed before the answer.",
		}, []string{"route", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_request_duration_seconds",
			Help:    "Time from the request's header to the end of its answer, waiting for jobs included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"route", "method"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration} {
		if err := to.Register(c); err != nil {
			return nil, fmt.Errorf("httpapi: register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) observe(x *exchange) {
	route, method := routeLabel(x.Path()), methodLabel(x.Request().Method)
	m.requests.WithLabelValues(route, method, strconv.Itoa(x.status())).Inc()
	m.duration.WithLabelValues(route, method).Observe(time.Since(x.started).Seconds())
}

// routeLabel is the pattern of the route; a path that is none's has no name.
func routeLabel(pattern string) string {
	if pattern == "" {
		return "none"
	}
	return pattern
}

// methodLabel keeps callers from making up label values.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return method
	default:
		return "other"
	}
}

func (a *API) serveMetrics(x *exchange) error {
	a.cfg.Metrics.ServeHTTP(x.Response(), x.Request())
	return nil
}
