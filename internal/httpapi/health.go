package httpapi

import (
	"context"
	"net/http"
	"time"
)

// pingTimeout bounds asking one part for /readyz.
const pingTimeout = 2 * time.Second

// healthJSON is the answer of /healthz and /readyz.
type healthJSON struct {
	Status string `json:"status"`
	// Parts are the outside parts and how they are: ok or unavailable.
	Parts map[string]string `json:"parts"`
}

// health says that the process lives, whatever it depends on.
func (a *API) health(x *exchange) error {
	return writeJSON(x, http.StatusOK, healthJSON{Status: "ok", Parts: map[string]string{}})
}

// ready says whether requests should be sent here: not while the store is
// away, nor while stopping. The queue may be away, since acceptance does not
// need it.
func (a *API) ready(x *exchange) error {
	x.header().Set("Cache-Control", "no-store")
	answer := healthJSON{Status: "ok", Parts: map[string]string{}}
	status := http.StatusOK
	if a.cfg.Queue != nil && !ask(x, answer.Parts, "queue", a.cfg.Queue) {
		answer.Status = "degraded"
	}
	if !ask(x, answer.Parts, "store", a.cfg.Store) {
		answer.Status, status = "unavailable", http.StatusServiceUnavailable
	}
	if a.draining.Load() {
		answer.Status, status = "draining", http.StatusServiceUnavailable
	}
	return writeJSON(x, status, answer)
}

// ask notes how a part is and reports whether it answers.
func ask(x *exchange, parts map[string]string, name string, part Pinger) bool {
	ctx, cancel := context.WithTimeout(x.Request().Context(), pingTimeout)
	defer cancel()
	if err := part.Ping(ctx); err != nil {
		parts[name] = "unavailable"
		x.failure = err
		return false
	}
	parts[name] = "ok"
	return true
}
