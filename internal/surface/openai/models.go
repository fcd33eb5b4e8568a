package openai

import (
	"net/http"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// modelJSON is what a caller's model may name: a route, or a target.
type modelJSON struct {
	ID     string `json:"id"`
	Object string `json:"object"`
	// Created is not known of any.
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func encodeModel(m jobs.Model) modelJSON {
	owner := m.Provider
	if owner == "" {
		owner = "penstock"
	}
	return modelJSON{ID: m.Name, Object: "model", OwnedBy: owner}
}

// models is GET /v1/models: routes, then targets.
func (s *Surface) models(x *exchange) error {
	all := s.cfg.Catalog.Models()
	list := struct {
		Object string      `json:"object"`
		Data   []modelJSON `json:"data"`
	}{"list", make([]modelJSON, len(all))}
	for i, m := range all {
		list.Data[i] = encodeModel(m)
	}
	return surface.WriteJSON(x.w, http.StatusOK, list)
}

// model is GET /v1/models/{id}: whatever a request may name, listed or not.
func (s *Surface) model(x *exchange) error {
	name := x.r.PathValue("id")
	route, err := s.cfg.Catalog.Resolve(name)
	if err != nil {
		return err
	}
	m := jobs.Model{Name: name}
	if route.Name != name || route.Direct() {
		m.Provider = route.Targets[0].Provider
	}
	return surface.WriteJSON(x.w, http.StatusOK, encodeModel(m))
}
