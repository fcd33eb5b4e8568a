package app

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// What a format cannot say is refused at the door with the field, unless the
// route has a target that can say it: that one serves it.
func TestWhatNoTargetCanSayIsRefused(t *testing.T) {
	t.Parallel()
	file := File{
		Providers: map[string]ProviderConfig{
			"claude": {Type: "anthropic", BaseURL: "http://127.0.0.1:1/v1"}, // never called
			"sim":    {Type: "simulated"},
		},
		Routes: map[string]RouteConfig{
			"narrow": {Targets: []string{"claude/claude-x"}},
			"either": {Targets: []string{"claude/claude-x", "sim/sim-1"}},
		},
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := startStack(t, dir, file)
		defer s.stop()
		const rest = `","messages":[{"role":"user","content":"x"}],"seed":7}}`
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://penstock/v1/jobs",
			strings.NewReader(`{"request":{"model":"narrow`+rest))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		said, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(said), `"pointer":"/request/seed"`) {
			t.Errorf("got %s: %s, want 400 naming /request/seed", resp.Status, said)
		}
		job := s.wait(s.do(http.MethodPost, "/v1/jobs", `{"request":{"model":"either`+rest).ID)
		if job.Status != "succeeded" || job.Tries != 0 {
			t.Errorf("got %+v, want it served by the other target, at no try", job)
		}
	})
}
