package run_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/tokens"
)

// TestAdaptiveTimeoutsAreForRoutesThatWantThem: and never let a call outlast its
// deadline.
func TestAdaptiveTimeoutsAreForRoutesThatWantThem(t *testing.T) {
	t.Parallel()
	for _, adaptive := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			most := providers.Timeouts{FirstToken: time.Minute, Total: 10 * time.Minute}
			g := newRig(t, func(c *run.Config) {
				c.Catalog = jobs.NewCatalog([]jobs.Route{{
					Name: "single", Targets: []jobs.Target{{Provider: "first", Model: "m1"}}, MaxAttempts: 5, Adaptive: adaptive,
					Timeouts:         providers.Timeouts{FirstToken: most.FirstToken},
					ProviderTimeouts: map[string]providers.Timeouts{"first": {Total: most.Total}},
				}}, nil, jobs.Route{})
				c.Timeouts = func(target jobs.Target, bound providers.Timeouts, _ tokens.Estimate) providers.Timeouts {
					if target.String() != "first/m1" || bound != most {
						t.Errorf("asked for %v within %+v, want the target and the route's", target, bound)
					}
					return providers.Timeouts{FirstToken: 3 * time.Second, Total: 2 * time.Hour}
				}
			})
			g.take()
			want := most
			if adaptive {
				want = providers.Timeouts{FirstToken: 3 * time.Second, Total: time.Hour}
			}
			if got := under(g, &g.requested)[0].Timeouts; got != want {
				t.Errorf("adaptive %v: timeouts %+v, want %+v", adaptive, got, want)
			}
		})
	}
}

// TestTheLongestSilenceIsTold: between two pieces, or after the last.
func TestTheLongestSilenceIsTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pauses []time.Duration
		want   time.Duration
	}{
		"nothing came":  {[]time.Duration{time.Minute}, 0},
		"between":       {[]time.Duration{time.Minute, 3 * time.Second, time.Second}, 3 * time.Second},
		"after it all":  {[]time.Duration{time.Second, time.Second, 9 * time.Second}, 9 * time.Second},
		"only the last": {[]time.Duration{time.Second, 2 * time.Second}, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t)
				g.call = func(ctx context.Context, _ providers.Request) (providers.Response, error) {
					for i, pause := range c.pauses {
						time.Sleep(pause)
						if i < len(c.pauses)-1 {
							piece(ctx, `"x"`)
						}
					}
					return answer, nil
				}
				g.take()
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if a := g.attempt(); a.Gap != c.want {
					t.Errorf("told a silence of %v, want %v", a.Gap, c.want)
				}
			})
		})
	}
}

// TestTheWaitForTheFirstTokenIsNoSilence, whatever came before it.
func TestTheWaitForTheFirstTokenIsNoSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.call = func(ctx context.Context, _ providers.Request) (providers.Response, error) {
			role(ctx, `"role"`)
			time.Sleep(time.Minute)
			piece(ctx, `"x"`)
			time.Sleep(time.Second)
			return answer, nil
		}
		g.take()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if a := g.attempt(); a.Gap != time.Second {
			t.Errorf("told a silence of %v, want the second after the token", a.Gap)
		}
	})
}
