package dispatch_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/dispatch"
)

// Pools grow, shrink, go and come while work is under way: what is outstanding
// counts, and a pass never releases beyond the sizes of its time.
func TestPoolsAreResized(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.add(20, jobs.Candidate{Tenant: "a"})
		f.add(20, jobs.Candidate{Tenant: "a", Route: "other/model"})
		var catalog *jobs.Catalog
		d, _ := f.start(map[string]int{"sim": 2}, func(c *dispatch.Config) { catalog = c.Catalog })
		byProvider := func(r running) string { return r.Provider }
		want := func(sim, other int) {
			t.Helper()
			time.Sleep(time.Minute)
			if n := count(f.logged(), byProvider); n["sim"] != sim || n["other"] != other {
				t.Fatalf("released %v more, want %d to sim and %d to other", n, sim, other)
			}
		}
		resize := func(pools map[string]int) {
			t.Helper()
			models := make(map[string][]string)
			for provider := range pools {
				models[provider] = nil
			}
			catalog.Replace(jobs.NewCatalog(nil, models, jobs.Route{MaxAttempts: 5}))
			if err := d.Resize(pools, nil); err != nil {
				t.Fatal(err)
			}
		}
		want(2, 0)
		resize(map[string]int{"sim": 5, "other": 3})
		want(3, 3)
		resize(map[string]int{"sim": 1})
		want(0, 0)
		f.finishAll()
		d.Wake()
		want(1, 0)
		if err := d.Resize(map[string]int{"sim": 9, "other": 0}, nil); err == nil {
			t.Error("a pool of no size is taken")
		}
		want(0, 0)
		resize(map[string]int{"other": 4})
		want(0, 4)
	})
}

// A resize is a wake: nobody waits for the next poll.
func TestAResizeIsHeardAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.add(5, jobs.Candidate{Tenant: "a"})
		d, _ := f.start(map[string]int{"sim": 1})
		time.Sleep(time.Minute)
		if err := d.Resize(map[string]int{"sim": 3}, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		if n := len(f.logged()); n != 3 {
			t.Errorf("released %d, want 3", n)
		}
	})
}
