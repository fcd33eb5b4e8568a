package openai_test

import (
	"net/http"
	"testing"

	"github.com/penstock-dev/penstock/e2e/sdk/sdktest"
)

func TestNode(t *testing.T) {
	t.Parallel()
	s, _ := start(t)
	for _, program := range []string{"answers.test.mjs", "responses.test.mjs", "batches.test.mjs", "webhooks.test.mjs"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			sdktest.Node(t, program, map[string]string{"BASE_URL": s.URL + "/v1"})
		})
	}
}

// An SDK's own retry has the answer that its first try was to have: the provider is
// called once. A stream that has begun is another matter: nobody can go on with it, so
// that its call is cancelled, and made again.
func TestNodeRetries(t *testing.T) {
	t.Parallel()
	s, u := start(t)
	sdktest.Node(t, "retries.test.mjs", map[string]string{
		"CHAT_URL": sdktest.CutOnce(t, s.URL, http.MethodPost) + "/v1", "EMBEDDINGS_URL": sdktest.CutOnce(t, s.URL, http.MethodPost) + "/v1",
		"RESPONSES_URL": sdktest.CutOnce(t, s.URL, http.MethodPost) + "/v1", "STREAM_URL": sdktest.CutOnce(t, s.URL, http.MethodPost) + "/v1",
		"BACKGROUND_URL": sdktest.CutOnce(t, s.URL, http.MethodPost) + "/v1",
	})
	if whole, streamed := s.Calls(), len(u["slow"].Calls()); whole != 4 || streamed != 2 {
		t.Errorf("the provider was called %d times for 4 requests, and %d times for a stream, want 2", whole, streamed)
	}
}
