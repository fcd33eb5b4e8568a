package app

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// store: false keeps request and answer until the answer was delivered, in any of
// the ways there are.
func TestWhatIsNotToBeStoredIsDropped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := File{
		Providers: map[string]ProviderConfig{"sim": {Type: "simulated"}},
		Routes:    map[string]RouteConfig{"default": {Targets: []string{"sim/sim-1"}}},
	}
	synctest.Test(t, func(t *testing.T) {
		s := startStack(t, dir, file)
		defer s.stop()
		gone := func(id string) bool {
			for _, j := range s.do(http.MethodGet, "/v1/jobs?limit=100", "").Data {
				if j.ID == id {
					return j.Error != nil && j.Error.Code == jobs.CodeDropped
				}
			}
			t.Fatalf("job %s is not listed", id)
			return false
		}
		const fleeting = `, "store": false`
		polled, streamed, forgotten := s.submit("polled", fleeting), s.submit("streamed", fleeting), s.submit("left", fleeting)
		kept := s.submit("kept", "")
		time.Sleep(10 * time.Second)
		for _, j := range []answer{polled, streamed, forgotten, kept} {
			if gone(j.ID) {
				t.Fatal("dropped before it was delivered")
			}
		}
		if got := s.wait(polled.ID); len(got.Result) == 0 || got.Store {
			t.Errorf("polled: %+v", got)
		}
		if events := s.stream(streamed.ID); !strings.Contains(events, `"result":{`) {
			t.Errorf("streamed: %s", events)
		}
		time.Sleep(jobs.DeliveredHold - time.Second)
		if got := s.wait(polled.ID); len(got.Result) == 0 {
			t.Errorf("asked again at once: %+v", got)
		}
		time.Sleep(10 * time.Second)
		if !gone(polled.ID) || !gone(streamed.ID) || gone(forgotten.ID) || gone(kept.ID) {
			t.Errorf("a minute after delivery: polled %v, streamed %v, left %v, kept %v, want the first two dropped",
				gone(polled.ID), gone(streamed.ID), gone(forgotten.ID), gone(kept.ID))
		}
	})
}

// stream reads a job's stream to its end.
func (s *stack) stream(id string) string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://penstock/v1/jobs/"+id+"/events", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	events, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(events)
}
