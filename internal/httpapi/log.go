package httpapi

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/internal/surface"
)

// logLine tells of a request in one line. Of what the caller sent it has the
// method, the route's pattern, the tenant, the ids and the request's name,
// never a query, a body or a key.
func (a *API) logLine(x *exchange) {
	status := x.status()
	line := a.cfg.Log.WithLevel(level(status, x.Path())).
		Str("request_id", x.requestID).
		Str("method", methodLabel(x.Request().Method)).
		Str("route", routeLabel(x.Path())).
		Int("status", status).
		Dur("duration_ms", time.Since(x.started)).
		Int64("bytes", x.Response().Size).
		Str("remote", x.RealIP())
	if x.tenant != "" {
		line = line.Str("tenant", x.tenant)
	}
	if x.job != uuid.Nil {
		line = line.Stringer("job", x.job)
	}
	if x.batch != uuid.Nil {
		line = line.Stringer("batch", x.batch)
	}
	if x.webhook != uuid.Nil {
		line = line.Stringer("webhook", x.webhook)
	}
	if c := x.caller; c != nil {
		line = tellOf(line, c)
		x.code, x.failure = string(c.Code), cmp.Or(x.failure, c.Failure)
	}
	if x.code != "" {
		line = line.Str("code", x.code)
	}
	if cause := cause(x.failure); cause != nil {
		line = line.Str("cause", shorten(cause.Error(), maxDetail))
	}
	if p, ok := errors.AsType[*panicked](x.failure); ok {
		line = line.Bytes("stack", p.stack)
	}
	line.Msg("request")
}

// tellOf adds what a surface has found out.
func tellOf(line *zerolog.Event, c *surface.Caller) *zerolog.Event {
	for _, one := range []struct {
		name string
		id   uuid.UUID
	}{{"job", c.Job}, {"batch", c.Batch}, {"file", c.File}} {
		if one.id != uuid.Nil {
			line = line.Stringer(one.name, one.id)
		}
	}
	return line
}

// cause returns what went wrong on our side. What is wrong with the request is
// not told: it would quote it.
func cause(err error) error {
	if _, ok := errors.AsType[fieldErrors](err); ok || err == nil {
		return nil
	}
	return known(err).Err
}

// status is what was answered; 499 when the connection was closed instead.
func (x *exchange) status() int {
	const closed = 499
	if x.aborted {
		return closed
	}
	return x.Response().Status
}

func level(status int, path string) zerolog.Level {
	switch {
	case status >= http.StatusInternalServerError:
		return zerolog.ErrorLevel
	case path == "/healthz" || path == "/readyz" || path == "/metrics":
		return zerolog.DebugLevel
	default:
		return zerolog.InfoLevel
	}
}
