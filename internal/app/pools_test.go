package app

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers/lane"
)

const grouped = `
providers:
  p:
    type: simulated
    models: [big, mini]
    concurrency: 3
    limits: {rpm: 100}
    pools:
      mini: {models: [mini, nano], concurrency: 5, limits: {rpm: 6, itpm: 7, otpm: 8}}
      slow: {models: [slow]}
`

func TestGroupsOfModelsArePools(t *testing.T) {
	t.Parallel()
	f, err := loadFile(RoleWorker, writeFile(t, grouped), env())
	if err != nil {
		t.Fatal(err)
	}
	limits := map[string]lane.Limits{
		"p":      {RequestsPerMinute: 100, Concurrency: 3},
		"p:mini": {RequestsPerMinute: 6, InputTokensPerMinute: 7, OutputTokensPerMinute: 8, Concurrency: 5},
		"p:slow": {Concurrency: 64},
	}
	if got := f.limits(); !maps.Equal(got, limits) {
		t.Errorf("limits %v, want %v", got, limits)
	}
	groups := lane.Groups{"p/mini": "p:mini", "p/nano": "p:mini", "p/slow": "p:slow"}
	if got := f.groups(); !maps.Equal(got, groups) {
		t.Errorf("groups %v, want %v", got, groups)
	}
	if got := f.concurrency()["p"]; got != 3+5+64 {
		t.Errorf("%d calls at once, want those of all its pools", got)
	}
	if got := len(f.targets()); got != 4 {
		t.Errorf("%d targets, want 4", got)
	}
}

func TestWrongGroupsAreNamed(t *testing.T) {
	t.Parallel()
	for pools, want := range map[string][]string{
		"{a: {models: [m]}, b: {models: [n, m]}}": {"providers.p.pools.b.models", `"m"`, `"a"`},
		"{a: {models: [m, m]}}":                   {"providers.p.pools.a.models", `"m"`},
		"{a: {models: []}}":                       {"providers.p.pools.a.models"},
		"{'a:b': {models: [m]}}":                  {"providers.p.pools.a:b"},
		"{a: {models: [m], concurrency: -1}}":     {"providers.p.pools.a.concurrency"},
		"{a: {models: [m], limits: {rpm: -1}}}":   {"providers.p.pools.a.limits.rpm"},
		"{a: {models: [m], rpm: 1}}":              {"PENSTOCK_CONFIG", "rpm"},
	} {
		_, err := loadFile(RoleWorker, writeFile(t, "providers: {p: {type: simulated, pools: "+pools+"}}"), env())
		e, ok := errors.AsType[*ConfigError](err)
		if !ok || e.Key != want[0] {
			t.Errorf("%s: got %v, want key %s", pools, err, want[0])
			continue
		}
		for _, word := range want[1:] {
			if !strings.Contains(e.Error(), word) {
				t.Errorf("%s: got %v, want it to name %s", pools, err, word)
			}
		}
	}
}

// TestAGroupThatIsUsedUpKeepsNoOther: the jobs for the provider's other models do
// not wait for it, though they came later.
func TestAGroupThatIsUsedUpKeepsNoOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := startStack(t, dir, File{
			Providers: map[string]ProviderConfig{"p": {Type: "simulated", Pools: map[string]PoolConfig{
				"mini": {Models: []string{"mini"}, Concurrency: 2, Limits: LimitsConfig{RPM: 2}},
			}}},
			Routes: map[string]RouteConfig{"default": {Targets: []string{"p/mini"}}, "other": {Targets: []string{"p/big"}}},
		})
		defer s.stop()
		begun := time.Now()
		var small, big []answer
		for range 5 {
			small = append(small, s.submitTo("default"))
		}
		for range 5 {
			big = append(big, s.submitTo("other"))
		}
		for _, a := range big {
			if got := s.wait(a.ID); got.Status != "succeeded" || got.FinishedAt.Sub(begun) > 20*time.Second {
				t.Errorf("a job of another model is %s after %v, want it done at once", got.Status, time.Since(begun))
			}
		}
		for _, a := range small {
			s.waitUntilEnded(a.ID)
		}
		if d := time.Since(begun); d < 100*time.Second {
			t.Errorf("five jobs of a group that has two requests a minute took %v, want two minutes", d)
		}
	})
}

// TestTwoAccountsBringTwoQuotas: they are two providers behind one route.
func TestTwoAccountsBringTwoQuotas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		account := ProviderConfig{Type: "simulated", Limits: LimitsConfig{RPM: 6}}
		s := startStack(t, dir, File{
			Providers: map[string]ProviderConfig{"a": account, "b": account},
			Routes:    map[string]RouteConfig{"default": {Mode: jobs.ActiveActive, Targets: []string{"a/m", "b/m"}}},
		})
		defer s.stop()
		begun := time.Now()
		var all []answer
		for range 24 {
			all = append(all, s.submitTo("default"))
		}
		for _, a := range all {
			s.waitUntilEnded(a.ID)
		}
		// One of them alone takes four minutes.
		if d := time.Since(begun); d < 110*time.Second || d > 150*time.Second {
			t.Errorf("24 jobs took %v, want about two minutes", d)
		}
	})
}
