package app

import (
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/webhooks/courier"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// hookMetrics are those of deliveries. Endpoints are no labels: tenants make them.
type hookMetrics struct {
	attempts   *prometheus.CounterVec
	latency    *prometheus.HistogramVec
	lag        *prometheus.HistogramVec
	openings   prometheus.Counter
	disabled   *prometheus.CounterVec
	held       prometheus.Gauge
	unrecorded prometheus.Gauge
}

func newHookMetrics(registry *prometheus.Registry) *hookMetrics {
	seconds := []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	m := &hookMetrics{
		attempts: counters("penstock_webhook_attempts_total", "Attempts to deliver a webhook.", "queue", "verdict", "error_class"),
		latency: histograms("penstock_webhook_attempt_seconds", "Time from an attempt's start to the answer's header, or the failure.",
			seconds, "queue"),
		lag: histograms("penstock_webhook_lag_seconds", "Time from when an attempt was due to its start.",
			append(seconds, 300, 3600), "queue"),
		openings: counter("penstock_webhook_breaker_openings_total", "Times the breaker of an endpoint opened."),
		disabled: counters("penstock_webhook_endpoints_disabled_total", "Endpoints that were disabled by what they answered.", "reason"),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "penstock_webhook_endpoints_held", Help: "Endpoints that this process is sending to.",
		}),
		unrecorded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "penstock_webhook_attempts_unrecorded", Help: "Attempts that have ended and are not yet in the store.",
		}),
	}
	registry.MustRegister(m.attempts, m.latency, m.lag, m.openings, m.disabled, m.held, m.unrecorded)
	return m
}

// courier observes deliveries.
func (o *observed) courier() courier.Observer {
	m := newHookMetrics(o.registry)
	of := func(endpoint uuid.UUID, tenant string) *zerolog.Logger {
		log := o.log.With().Stringer("endpoint", endpoint).Str("tenant", tenant).Logger()
		return &log
	}
	return courier.Observer{
		Attempted: func(a courier.Attempted) { o.delivery(m, a) },
		Opened: func(endpoint uuid.UUID, tenant string, until time.Time) {
			m.openings.Inc()
			of(endpoint, tenant).Warn().Time("until", until).Msg("the breaker of an endpoint opened")
		},
		Closed: func(endpoint uuid.UUID, tenant string) {
			of(endpoint, tenant).Info().Msg("the breaker of an endpoint closed")
		},
		Failing: func(endpoint uuid.UUID, tenant string, since time.Time) {
			of(endpoint, tenant).Warn().Time("since", since).Msg("an endpoint takes nothing")
		},
		Disabled: func(endpoint uuid.UUID, tenant string, why delivery.Reason) {
			m.disabled.WithLabelValues(string(why)).Inc()
			of(endpoint, tenant).Warn().Str("reason", string(why)).Msg("an endpoint is disabled")
		},
		Held: func(endpoints, unrecorded int) {
			m.held.Set(float64(endpoints))
			m.unrecorded.Set(float64(unrecorded))
		},
		Error: o.failed("courier"),
	}
}

// delivery counts an attempt and writes its one line.
func (o *observed) delivery(m *hookMetrics, a courier.Attempted) {
	m.attempts.WithLabelValues(string(a.Queue), a.Verdict.String(), string(a.Failure)).Inc()
	m.latency.WithLabelValues(string(a.Queue)).Observe(a.Latency.Seconds())
	m.lag.WithLabelValues(string(a.Queue)).Observe(a.Lag.Seconds())
	level := zerolog.DebugLevel
	if a.Verdict != delivery.Delivered {
		level = zerolog.InfoLevel
	}
	line := o.log.WithLevel(level).Stringer("delivery", a.Delivery).Stringer("endpoint", a.Endpoint).Str("tenant", a.Tenant).
		Str("type", a.Type).Int("attempt", a.N).Str("trigger", string(a.Trigger)).Str("queue", string(a.Queue)).
		Stringer("verdict", a.Verdict).Dur("latency", a.Latency).Dur("lag", a.Lag).Str("status", string(a.Left))
	if a.Failure != "" {
		line.Str("error_class", string(a.Failure)).Int("http_status", a.Status)
	}
	if !a.Next.IsZero() {
		line.Time("next", a.Next)
	}
	line.Msg("webhook")
}
