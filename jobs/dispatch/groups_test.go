package dispatch_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/dispatch"
	"github.com/penstock-dev/penstock/providers/lane"
)

// TestGroupsOfOneProvider: each has places and lanes of its own; what keeps one of
// them keeps no other. A reload may put a model into another group: what is
// outstanding counts where it is then.
func TestGroupsOfOneProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mini := map[jobs.Target]string{{Provider: "a", Model: "mini"}: "a:mini"}
		pools := map[string]int{"a": 2, "a:mini": 3}
		f, l := newFleet(t), &lanes{rooms: make(map[string]lane.Room)}
		l.set("a/mini", shut(lane.RateLimit, time.Hour))
		f.add(20, jobs.Candidate{Tenant: "t", Route: "a/mini"})
		f.add(20, jobs.Candidate{Tenant: "t", Route: "a/big"})
		d, _ := f.start(pools, func(c *dispatch.Config) {
			c.Lanes, c.Groups = l, mini
			c.Catalog = jobs.NewCatalog(nil, map[string][]string{"a": nil}, jobs.Route{})
		})
		want := func(small, big int) {
			t.Helper()
			time.Sleep(5 * time.Second)
			if n := count(f.logged(), func(r running) string { return r.Model }); n["mini"] != small || n["big"] != big {
				t.Fatalf("released %v more, want %d to mini and %d to big", n, small, big)
			}
		}
		want(0, 2)
		used := open()
		used.Requests, used.InPool = 0, 2
		l.set("a/big", used)
		l.set("a/mini", open())
		f.finishAll()
		want(3, 0)
		l.set("a/big", open())
		want(0, 2)
		if err := d.Resize(map[string]int{"a": 6}, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if n := len(f.logged()); n != 1 {
			t.Errorf("released %d when all have six places and five are taken, want 1", n)
		}
		for _, asked := range l.lanes("a/mini")[:1] {
			if asked.Pool != "a:mini" {
				t.Errorf("asked for room in pool %s, want a:mini", asked.Pool)
			}
		}
	})
}
