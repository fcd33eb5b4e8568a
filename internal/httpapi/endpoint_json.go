package httpapi

import (
	"cmp"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// endpointJSON is a webhook endpoint as the API tells of it.
type endpointJSON struct {
	ID            uuid.UUID          `json:"id"`
	Object        string             `json:"object"`
	URL           string             `json:"url"`
	Description   *string            `json:"description"`
	Types         []string           `json:"types"`
	Metadata      map[string]string  `json:"metadata"`
	Timeout       string             `json:"timeout"`
	PerMinute     *int               `json:"per_minute"`
	Concurrency   int                `json:"concurrency"`
	Schedule      []string           `json:"schedule"`
	Headers       map[string]string  `json:"headers"`
	IncludeResult bool               `json:"include_result"`
	Signature     delivery.Signature `json:"signature"`
	PublicKey     *string            `json:"public_key"`
	// Secret is there once, in the answer that made it.
	Secret         *string          `json:"secret"`
	PerJob         bool             `json:"per_job"`
	Status         string           `json:"status"`
	DisabledReason *delivery.Reason `json:"disabled_reason"`
	Health         endpointHealth   `json:"health"`
	Version        int64            `json:"version"`
	CreatedAt      time.Time        `json:"created_at"`
	ChangedAt      time.Time        `json:"changed_at"`
}

// endpointHealth is how an endpoint fares.
type endpointHealth struct {
	ConsecutiveFailures int             `json:"consecutive_failures"`
	FailingSince        *time.Time      `json:"failing_since"`
	LastSuccessAt       *time.Time      `json:"last_success_at"`
	PausedUntil         *time.Time      `json:"paused_until"`
	Breaker             endpointBreaker `json:"breaker"`
	LatencyMS           *int64          `json:"latency_ms"`
	Slow                bool            `json:"slow"`
}

type endpointBreaker struct {
	State     string     `json:"state"`
	OpenUntil *time.Time `json:"open_until"`
}

func encodeEndpoint(w delivery.Watched) endpointJSON {
	out := endpointJSON{
		ID: w.ID, Object: "webhook_endpoint", URL: w.URL, Description: orNull(w.Description),
		Types: append([]string{}, w.Types...), Metadata: w.Metadata, Headers: w.Header,
		Timeout: cmp.Or(w.Timeout, delivery.DefaultTimeout).String(), PerMinute: orNull(w.PerMinute),
		Concurrency: cmp.Or(w.Concurrency, delivery.DefaultConcurrency), Schedule: encodeSchedule(w.Schedule), IncludeResult: w.IncludeResult,
		Signature: delivery.SignatureOf(w.PublicKey), PublicKey: orNull(w.PublicKey), PerJob: w.PerJob,
		Status: "enabled", DisabledReason: orNull(w.Disabled), Health: encodeHealth(w.State, time.Now()),
		Version: w.Version, CreatedAt: w.CreatedAt.UTC(), ChangedAt: w.ChangedAt.UTC(),
	}
	if out.Metadata == nil {
		out.Metadata = map[string]string{}
	}
	if out.Headers == nil {
		out.Headers = map[string]string{}
	}
	if w.Disabled != "" {
		out.Status = "disabled"
	}
	return out
}

func encodeSchedule(s delivery.Schedule) []string {
	if len(s) == 0 {
		s = delivery.DefaultSchedule
	}
	waits := make([]string, len(s))
	for i, wait := range s {
		waits[i] = wait.String()
	}
	return waits
}

func encodeHealth(s delivery.State, now time.Time) endpointHealth {
	health := endpointHealth{
		ConsecutiveFailures: s.Failures, FailingSince: timeJSON(s.FailingSince), LastSuccessAt: timeJSON(s.LastSuccess),
		Breaker: endpointBreaker{State: breakerState(s, now)}, LatencyMS: orNull(s.Latency.Milliseconds()), Slow: s.Slow,
	}
	if s.PausedUntil.After(now) {
		health.PausedUntil = timeJSON(s.PausedUntil)
	}
	if s.OpenUntil.After(now) {
		health.Breaker.OpenUntil = timeJSON(s.OpenUntil)
	}
	return health
}

// breakerState has the words of lanes, as far as they fit.
func breakerState(s delivery.State, now time.Time) string {
	switch {
	case s.OpenUntil.After(now):
		return "open"
	case !s.OpenUntil.IsZero():
		return "probing"
	case !s.RampSince.IsZero():
		return "recovering"
	default:
		return "closed"
	}
}

// rotationJSON is a new secret.
type rotationJSON struct {
	Object string `json:"object"`
	// EndpointID is null for the tenant's secret.
	EndpointID    *uuid.UUID         `json:"endpoint_id"`
	Secret        string             `json:"secret"`
	Signature     delivery.Signature `json:"signature"`
	PublicKey     *string            `json:"public_key"`
	PreviousUntil *time.Time         `json:"previous_until"`
	CreatedAt     time.Time          `json:"created_at"`
}

func encodeRotation(endpoint *uuid.UUID, r delivery.Rotation) rotationJSON {
	return rotationJSON{
		Object: "webhook_secret", EndpointID: endpoint, Secret: r.Key, Signature: delivery.SignatureOf(r.PublicKey),
		PublicKey: orNull(r.PublicKey), PreviousUntil: timeJSON(r.PreviousUntil), CreatedAt: r.CreatedAt.UTC(),
	}
}
