package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Invariant 5: a request that three workers died of is not tried on a fourth.
// Asked for by hand, it is.
func TestInvariant5ThreeDeathsPoison(t *testing.T) {
	t.Parallel()
	f := startFleet(t, setup{apis: 1, concurrency: 4, faults: `{"latency": "10m", "sigma": 0}`})
	id := f.submitUntilAccepted(1)
	for death := 1; death <= 3; death++ {
		w := f.startWorker()
		eventually(t, 30*time.Second, fmt.Sprintf("call %d", death), func() bool { return len(f.calls()) == death })
		w.kill()
	}
	f.startWorker()
	eventually(t, 30*time.Second, "the end of the job", func() bool {
		j, err := f.do(http.MethodGet, "/v1/jobs/"+id, "")
		return err == nil && j.Status == "failed" && j.Error != nil && j.Error.Code == "poisoned"
	})
	if n := len(f.calls()); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
	f.behave(slow)
	again, err := f.do(http.MethodPost, "/v1/jobs/"+id+"/retry", "")
	if err != nil {
		t.Fatal(err)
	}
	f.allSucceeded([]string{again.ID})
}

// behave changes how the provider is.
func (f *fleet) behave(faults string) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodPut, "http://"+f.simulator+"/faults", strings.NewReader(faults))
	if err != nil {
		f.t.Fatal(err)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		f.t.Fatalf("PUT /faults: %s", resp.Status)
	}
}
