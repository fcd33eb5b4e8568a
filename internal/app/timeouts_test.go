package app

import (
	"testing"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// TestTimeoutsAreTheRoutesTheProvidersOrTheUsual, each of the four by itself.
func TestTimeoutsAreTheRoutesTheProvidersOrTheUsual(t *testing.T) {
	t.Parallel()
	path := writeFile(t, `
providers:
  quick: {type: simulated}
  slow: {type: simulated, timeouts: {connect: 1s, first_token: 3m, between_tokens: 2m}}
routes:
  short: {targets: [quick/m, slow/m], timeout: 90s}
  own: {targets: [quick/m, slow/m], timeouts: {connect: 2s, first_token: 5s, between_tokens: 3s, total: 1m}}
`)
	c, err := LoadConfig(RoleEmbedded, env("PENSTOCK_CONFIG", path))
	if err != nil {
		t.Fatal(err)
	}
	own := providers.Timeouts{Connect: 2 * time.Second, FirstToken: 5 * time.Second, Stall: 3 * time.Second, Total: time.Minute}
	slow := providers.Timeouts{Connect: time.Second, FirstToken: 3 * time.Minute, Stall: 2 * time.Minute, Total: 10 * time.Minute}
	quickShort, slowShort := jobs.DefaultTimeouts(), slow
	quickShort.Total, slowShort.Total = 90*time.Second, 90*time.Second
	for _, tc := range []struct {
		model, provider string
		want            providers.Timeouts
	}{
		{"quick/m", "quick", jobs.DefaultTimeouts()},
		{"slow/m", "slow", slow},
		{"short", "quick", quickShort},
		{"short", "slow", slowShort},
		{"own", "quick", own},
		{"own", "slow", own},
	} {
		route, err := c.File.catalog().Resolve(tc.model)
		if got := route.TimeoutsOf(jobs.Target{Provider: tc.provider, Model: "m"}); err != nil || got != tc.want {
			t.Errorf("%s at %s: got %+v, %v; want %+v", tc.model, tc.provider, got, err, tc.want)
		}
	}
}
