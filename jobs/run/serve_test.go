package run_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
)

// other is a provider that succeeds at once, and counts.
type other struct{ calls int }

func (o *other) Call(context.Context, providers.Request, func(providers.Chunk)) (providers.Response, error) {
	o.calls++
	return answer, nil
}

// serve makes the rig's work another execution's and replaces what is served.
func (g *rig) serve(all map[string]providers.Provider, concurrency map[string]int) {
	g.t.Helper()
	synctest.Wait() // the runner serves what it was made with
	g.note(func() { g.work.Task.Execution = uuid.Must(uuid.NewV7()) })
	if err := g.runner.Serve(all, concurrency); err != nil {
		g.t.Fatal(err)
	}
	synctest.Wait()
}

// A run ends with the provider it began with; the next one uses the new.
func TestRunsKeepTheProvidersTheyBeganWith(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.call = func(context.Context, providers.Request) (providers.Response, error) {
			time.Sleep(time.Minute)
			return providers.Response{}, &providers.Error{Class: providers.ServerError}
		}
		g.work.Route = "default"
		g.take()
		next := &other{}
		g.serve(map[string]providers.Provider{"first": next}, map[string]int{"first": 5})
		time.Sleep(2*time.Minute + 1)
		synctest.Wait()
		if requests := len(under(g, &g.requested)); requests != 2 || next.calls != 0 {
			t.Fatalf("the run made %d calls with the old providers and %d with the new, want 2 and none", requests, next.calls)
		}
		g.take()
		if requests := len(under(g, &g.requested)); requests != 2 || next.calls != 1 {
			t.Errorf("the next run made %d calls with the old providers and %d with the new", requests-2, next.calls)
		}
	})
}

func TestAProviderThatAppearsIsServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		third := &other{}
		g := newRig(t)
		g.note(func() { g.work.Provider, g.work.Task.Provider = "third", "third" })
		g.take()
		if third.calls != 0 || len(under(g, &g.claims)) != 0 {
			t.Fatal("a task of a provider that is not served was taken")
		}
		g.serve(map[string]providers.Provider{"third": third}, map[string]int{"third": 1})
		if third.calls != 1 {
			t.Errorf("got %d calls, want the task that waited", third.calls)
		}
	})
}

// What was released for a provider that is no more is given back, not left in
// the queue. In the end nobody takes its tasks.
func TestTheTasksOfAProviderThatIsNoMoreAreGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.serve(map[string]providers.Provider{"second": &other{}}, map[string]int{"second": 1})
		g.take()
		if given := under(g, &g.given); len(given) != 1 || given[0].WaitingOn != jobs.WaitingOnCapacity {
			t.Fatalf("got %+v, want the execution given back", given)
		}
		time.Sleep(11 * time.Minute)
		g.note(func() { g.work.Task.Execution = uuid.Must(uuid.NewV7()) })
		g.take()
		if claims := len(under(g, &g.claims)); claims != 1 {
			t.Errorf("%d tasks were taken, want none after ten minutes", claims-1)
		}
	})
}

// Concurrency is what was served last.
func TestConcurrencyChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.call = hang
		all := map[string]providers.Provider{"first": provider{g}}
		for _, n := range []int{1, 4} {
			before := len(under(g, &g.requested))
			g.serve(all, map[string]int{"first": n})
			for range 6 {
				g.note(func() { g.work.Task.Execution = uuid.Must(uuid.NewV7()) })
				g.take()
			}
			if got := len(under(g, &g.requested)) - before; got != n {
				t.Errorf("%d calls at once, want %d", got, n)
			}
		}
	})
}

func TestServeRefusesNonsenseAsAWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		for want, concurrency := range map[string]map[string]int{
			`Concurrency["first"]`: {"first": 0}, `Concurrency["nobody"]`: {"nobody": 1},
		} {
			err := g.runner.Serve(map[string]providers.Provider{"first": &other{}}, concurrency)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		}
		g.take()
		if got := g.attempt(); got.Result != run.Succeeded || len(under(g, &g.requested)) != 1 {
			t.Errorf("got %+v, want the provider that was there before", got)
		}
	})
}
