package jobs_test

import (
	"testing"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

func TestACatalogIsReplacedAsAWhole(t *testing.T) {
	t.Parallel()
	route := func(name, provider string) jobs.Route {
		return jobs.Route{Name: name, Targets: []jobs.Target{{Provider: provider, Model: "m"}}, MaxAttempts: 1}
	}
	c := jobs.NewCatalog([]jobs.Route{route("kept", "a"), route("gone", "a")}, map[string][]string{"a": {"m-a"}}, jobs.Route{MaxAttempts: 1})
	old, err := c.Resolve("kept")
	if err != nil {
		t.Fatal(err)
	}
	c.Replace(jobs.NewCatalog([]jobs.Route{route("kept", "b")}, map[string][]string{"b": {"m-b"}}, jobs.Route{MaxAttempts: 2}))
	for name, want := range map[string]string{"kept": "b/m", "m-b": "b/m-b", "b/x": "b/x", "gone": "", "m-a": "", "a/x": ""} {
		got, err := c.Resolve(name)
		if want == "" {
			if err == nil {
				t.Errorf("%s is still there: %v", name, got)
			}
			continue
		}
		if err != nil || got.Targets[0].String() != want {
			t.Errorf("%s: got %v, %v, want %s", name, got, err, want)
		}
	}
	if got, _ := c.Resolve("b/x"); got.MaxAttempts != 2 {
		t.Errorf("the defaults are the old ones: %+v", got)
	}
	if old.Targets[0].Provider != "a" {
		t.Errorf("a route in hand changed: %v", old)
	}
}

// TestARoutesTimeoutsComeBeforeItsProviders: each of the four by itself.
func TestARoutesTimeoutsComeBeforeItsProviders(t *testing.T) {
	t.Parallel()
	r := jobs.Route{
		Timeouts:         providers.Timeouts{FirstToken: 2, Total: 4},
		ProviderTimeouts: map[string]providers.Timeouts{"a": {Connect: 10, FirstToken: 20, Stall: 30}},
	}
	for provider, want := range map[string]providers.Timeouts{
		"a": {Connect: 10, FirstToken: 2, Stall: 30, Total: 4}, "b": r.Timeouts,
	} {
		if got := r.TimeoutsOf(jobs.Target{Provider: provider, Model: "m"}); got != want {
			t.Errorf("provider %s: got %+v, want %+v", provider, got, want)
		}
	}
}
