package jobs_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue/queuetest"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/storage/sqlite"
	"github.com/penstock-dev/penstock/storage/sqlite/sqlitetest"
)

// TestWhatNoTargetCanCarryIsRefused: and what one can is not.
func TestWhatNoTargetCanCarryIsRefused(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: sqlitetest.File(t), Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	narrow, wide := jobs.Target{Provider: "narrow", Model: "m"}, jobs.Target{Provider: "wide", Model: "m"}
	tried := jobs.Target{Provider: "tried", Model: "m"}
	catalog := jobs.NewCatalog([]jobs.Route{
		{Name: "narrow", Targets: []jobs.Target{narrow, narrow}},
		{Name: "either", Targets: []jobs.Target{narrow, wide}},
		{Name: "tried", Targets: []jobs.Target{narrow, tried, narrow}},
	}, nil, jobs.Route{})
	check := func(endpoint string, body json.RawMessage) error {
		switch {
		case endpoint != providers.ChatCompletions:
			return &providers.UnsupportedError{Reason: "it has no such thing"}
		case strings.Contains(string(body), "seed"):
			return &providers.UnsupportedError{Pointer: "/seed", Reason: "has no counterpart"}
		default:
			return nil
		}
	}
	s := jobs.NewService(store, queuetest.New(), catalog, jobs.WithChecks(map[string]providers.Check{
		"narrow": check,
		"tried":  func(string, json.RawMessage) error { return nil },
	}))
	for _, c := range []struct{ endpoint, body, pointer, says string }{
		{"", `{"model":"narrow","messages":[{}]}`, "", ""},
		{"", `{"model":"narrow","messages":[{}],"seed":1}`, "/request/seed", "to narrow/m it has no counterpart"},
		{"", `{"model":"either","messages":[{}],"seed":1}`, "", ""},
		{"", `{"model":"tried","messages":[{}],"seed":1}`, "", ""},
		{providers.Embeddings, `{"model":"narrow","input":"x"}`, "/endpoint", "of narrow/m: it has no such thing"},
		{providers.Embeddings, `{"model":"either","input":"x"}`, "", ""},
	} {
		n := newJob(c.body)
		n.Endpoint = c.endpoint
		_, err := s.Submit(t.Context(), n)
		e, refused := errors.AsType[*jobs.Error](err)
		if c.pointer == "" && err != nil {
			t.Errorf("%s: got %v, want it accepted", c.body, err)
		}
		if c.pointer != "" && (!refused || e.Code != jobs.CodeInvalidField || e.Pointer != c.pointer || !strings.Contains(e.Message, c.says)) {
			t.Errorf("%s: got %v, want invalid_field at %s", c.body, err, c.pointer)
		}
	}
}
