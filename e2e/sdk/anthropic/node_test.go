// Package anthropic_test has Anthropic's SDKs talk to Penstock.
package anthropic_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/penstock-dev/penstock/e2e/sdk/sdktest"
)

// start starts a Penstock in front of an upstream, too: as the providers openai-tools and
// counted in OpenAI's format, and as claude-tools in Anthropic's.
func start(t *testing.T) (*sdktest.Stack, *upstream) {
	t.Helper()
	u, address := startUpstream(t)
	s := sdktest.Start(t, fmt.Sprintf(`
  openai-tools: {type: openai, base_url: %[1]s/v1}
  counted: {type: openai, base_url: %[1]s/v1}
  claude-tools: {type: anthropic, base_url: %[1]s/v1}`, address), `
  fails: {targets: [claude-tools/status-500], max_attempts: 1}`)
	return s, u
}

func TestNode(t *testing.T) { //nolint:tparallel // what is at the end waits for all of it
	t.Parallel()
	s, u := start(t)
	t.Run("SDK", func(t *testing.T) {
		for _, program := range []string{"messages.test.mjs", "batches.test.mjs"} {
			t.Run(program, func(t *testing.T) {
				t.Parallel()
				sdktest.Node(t, program, map[string]string{
					"BASE_URL": s.URL, "CUT_URL": sdktest.CutOnce(t, s.URL, http.MethodPost),
				})
			})
		}
	})
	for model, want := range map[string]int{"once": 2, "slow": 1, "status-500": 1} {
		if got := u.asked(model); got != want {
			t.Errorf("the provider was asked %d times for %s, want %d", got, model, want)
		}
	}
}
