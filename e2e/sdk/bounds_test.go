package sdk_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/e2e/sdk/sdktest"
)

// TestWhatIsNoID is the id of nothing, by every API.
func TestWhatIsNoID(t *testing.T) {
	t.Parallel()
	c := caller{t, sdktest.Start(t, "", "").URL, "owner"}
	ids := []string{
		"x", "batch_", "file-x", "resp_0199f1a2", "0199f1a27c3e7d4b9a513f0c8e6b2d17", "msgbatch_0199f1a2-7c3e-7d4b-9a51-3f0c8e6b2d17",
		"%2e%2e%2ffiles", "%00", "a%0d%0ab", "00000000-0000-0000-0000-000000000000", strings.Repeat("9", 10_000),
	}
	c.finds(false, fileOperations, ids...)
	c.finds(false, responseOperations, ids...)
	c.finds(false, batchOperations, ids...)

	c.lists()
}

// lists asks for pages that there are not.
func (c caller) lists() {
	c.Helper()
	response := c.make("/v1/responses", `{"model":"default","input":"x"}`)
	for path, bad := range map[string][]string{
		"/v1/files":   {"limit=0", "limit=-1", "limit=10001", "limit=x", "after=x", "order=x"},
		"/v1/batches": {"limit=0", "limit=-1", "limit=101", "limit=x", "after=x"},
		"/v1/responses/" + response.ID + "/input_items": {"limit=0", "limit=-1", "limit=101", "limit=x", "after=x", "order=x"},
		"/v1/messages/batches": {
			"limit=0", "limit=-1", "limit=1001", "limit=x", "after_id=x", "before_id=x",
			"after_id=0199f1a2-7c3e-7d4b-9a51-3f0c8e6b2d17&before_id=0199f1a2-7c3e-7d4b-9a51-3f0c8e6b2d17",
		},
		"/v1/job-batches": {"limit=0", "limit=-1", "limit=101", "limit=x", "cursor=x", "after=x"},
	} {
		for _, query := range bad {
			if status, _, answer := c.do("GET", path+"?"+query, ""); status != http.StatusBadRequest {
				c.Errorf("%s?%s: got %d %s", path, query, status, answer)
			}
		}
		if status, _, answer := c.do("GET", path+"?limit=1", ""); status != http.StatusOK {
			c.Errorf("%s?limit=1: got %d %s", path, status, answer)
		}
	}
}
