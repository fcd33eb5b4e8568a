package dispatch_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/dispatch"
)

// forUseCases configures what jobs are for.
func forUseCases(all map[string]jobs.UseCase) func(*dispatch.Config) {
	return func(c *dispatch.Config) { c.Catalog = c.Catalog.WithUseCases(all) }
}

func byUseCase(r running) string { return r.UseCase }

// rounds releases n executions, a full pool at a time, each of which is done when
// the next are released.
func (f *fleet) rounds(d *dispatch.Dispatcher, n int) []running {
	f.t.Helper()
	var log []running
	for len(log) < n {
		d.Wake()
		synctest.Wait()
		got := f.logged()
		if len(got) == 0 {
			f.t.Fatalf("stuck after %d releases", len(log))
		}
		log = append(log, got...)
		f.finishAll()
	}
	return log[:n]
}

// TestUseCasesHaveTheirShares: of the places, whatever the priorities and tenants
// within; those that did not say, or say what is not configured, what is left.
func TestUseCasesHaveTheirShares(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		d, _ := f.start(map[string]int{"sim": 10}, forUseCases(map[string]jobs.UseCase{
			"chat": {Share: 0.6}, "reports": {Share: 0.2},
		}))
		synctest.Wait()
		f.add(2000, jobs.Candidate{Tenant: "a", UseCase: "reports", Priority: jobs.PriorityHigh})
		f.add(2000, jobs.Candidate{Tenant: "b", UseCase: "chat"})
		f.add(1000, jobs.Candidate{Tenant: "c"})
		f.add(1000, jobs.Candidate{Tenant: "c", UseCase: "gone"})
		got := count(f.rounds(d, 1000), byUseCase)
		if got["chat"] != 600 || got["reports"] != 200 || got[""]+got["gone"] != 200 {
			t.Errorf("of 1000 releases %v, want 600 chat, 200 reports and 200 others", got)
		}
	})
}

// TestWhatAUseCaseLeavesOthersHave: all of it, and it gets its share back as places
// become free.
func TestWhatAUseCaseLeavesOthersHave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		d, _ := f.start(map[string]int{"sim": 10}, forUseCases(map[string]jobs.UseCase{
			"chat": {Share: 0.6}, "reports": {Share: 0.2},
		}))
		synctest.Wait()
		f.add(1000, jobs.Candidate{Tenant: "a", UseCase: "reports"})
		if got := count(f.rounds(d, 100), byUseCase); got["reports"] != 100 {
			t.Fatalf("alone: released %v, want all the room for who is alone", got)
		}
		d.Wake()
		synctest.Wait()
		f.logged()
		f.add(100, jobs.Candidate{Tenant: "b", UseCase: "chat"})
		for range 8 { // one place becomes free at a time
			time.Sleep(time.Millisecond)
			f.finish(f.oldest())
			d.Wake()
			synctest.Wait()
		}
		if got := count(f.logged(), byUseCase); got["chat"] != 6 || got["reports"] != 2 {
			t.Errorf("of eight places that became free released %v, want 6 to chat until it has its share, and 2", got)
		}
	})
}

// TestAShareIsOfPlacesNotOfTurns: calls that take long do not get more places by it,
// though they are served as often as the others.
func TestAShareIsOfPlacesNotOfTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var d *dispatch.Dispatcher
		f.onTask = func(task jobs.Task) {
			f.mu.Lock()
			took := map[string]time.Duration{"chat": time.Second, "reports": time.Minute}[f.released[task.Execution].UseCase]
			f.mu.Unlock()
			time.AfterFunc(took, func() {
				f.finish(task.Execution)
				d.Wake()
			})
		}
		d, _ = f.start(map[string]int{"sim": 10}, forUseCases(map[string]jobs.UseCase{
			"chat": {Share: 0.5}, "reports": {Share: 0.5},
		}))
		f.add(2000, jobs.Candidate{Tenant: "a", UseCase: "chat"})
		f.add(2000, jobs.Candidate{Tenant: "b", UseCase: "reports"})
		time.Sleep(3*time.Minute + 30*time.Second + 500*time.Millisecond) // no call ends at that moment
		held := make(map[string]int)
		f.set(func() {
			for _, r := range f.released {
				held[r.UseCase]++
			}
		})
		if held["chat"] != 5 || held["reports"] != 5 {
			t.Errorf("places held are %v, want five each", held)
		}
	})
}

// oldest returns the release that was made first.
func (f *fleet) oldest() uuid.UUID {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []running
	for _, r := range f.released {
		all = append(all, r)
	}
	return slices.MinFunc(all, func(a, b running) int { return a.at.Compare(b.at) }).Candidate.Execution
}

// TestAUseCaseNeverHasMoreThanItsMost: in no pool, though nobody else wants the
// places; and nobody looks for it in vain.
func TestAUseCaseNeverHasMoreThanItsMost(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]int{10: 5, 1: 1, 3: 1} {
		t.Run(fmt.Sprint("pool of ", size), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				d, _ := f.start(map[string]int{"sim": size}, forUseCases(map[string]jobs.UseCase{
					"reports": {Share: 0.2, Most: 0.5},
				}))
				synctest.Wait()
				f.add(100, jobs.Candidate{Tenant: "a", UseCase: "reports"})
				f.add(100, jobs.Candidate{Tenant: "b", UseCase: "reports"})
				time.Sleep(time.Minute + 500*time.Millisecond) // between two polls
				if n := len(f.logged()); n != want {
					t.Errorf("released %d of a use case that may have half, want %d", n, want)
				}
				f.asked()
				d.Wake()
				synctest.Wait()
				if n := f.asked(); size > 1 && n > 2 {
					t.Errorf("a pass for a use case that has its most took %d queries, want 2", n)
				}
			})
		})
	}
}

// TestInvariant9AFloodOfCallsThatHangLeavesAnotherUseCaseItsShare: chat of one second
// each, 2 a second, beside a flood of reports that take two minutes each. It waits no
// longer than it does alone in the half that reports may not have.
func TestInvariant9AFloodOfCallsThatHangLeavesAnotherUseCaseItsShare(t *testing.T) {
	t.Parallel()
	alone := chatWaits(t, 5, 0)
	beside := chatWaits(t, 10, 2000)
	t.Logf("p99 wait of chat: %v alone in 5 places, %v in 10 beside a flood that may have 5", alone, beside)
	if beside > alone+10*time.Millisecond {
		t.Errorf("p99 wait of chat was %v beside a flood, want at most %v, which it is alone", beside, alone)
	}
}

// chatWaits returns the 99th percentile of how long 1000 executions waited.
func chatWaits(t *testing.T, places, flood int) (p99 time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var d *dispatch.Dispatcher
		f.onTask = func(task jobs.Task) {
			f.mu.Lock()
			took := map[string]time.Duration{"chat": time.Second, "reports": 2 * time.Minute}[f.released[task.Execution].UseCase]
			f.mu.Unlock()
			time.AfterFunc(took, func() {
				f.finish(task.Execution)
				d.Wake()
			})
		}
		d, _ = f.start(map[string]int{"sim": places}, forUseCases(map[string]jobs.UseCase{
			"chat": {Share: 0.5}, "reports": {Share: 0.2, Most: 0.5},
		}))
		f.add(flood, jobs.Candidate{Tenant: "t", UseCase: "reports", Priority: jobs.PriorityHigh})
		time.Sleep(10 * time.Second)
		begun, rnd := make(map[uuid.UUID]time.Time), rand.New(rand.NewPCG(1, 2))
		for range 1000 {
			begun[f.add(1, jobs.Candidate{Tenant: "t", UseCase: "chat", Priority: jobs.PriorityLow})[0]] = time.Now()
			d.Wake()
			time.Sleep(time.Duration(rnd.ExpFloat64() * float64(500*time.Millisecond)))
		}
		time.Sleep(time.Minute)
		var waits []time.Duration
		for _, r := range f.logged() {
			if at, ok := begun[r.Candidate.Execution]; ok {
				waits = append(waits, r.at.Sub(at))
			}
		}
		if len(waits) != 1000 {
			t.Fatalf("released %d of 1000 of chat", len(waits))
		}
		slices.Sort(waits)
		p99 = waits[989]
	})
	return p99
}

// TestAUseCaseThatWasIdleHasSavedNothing: for the places above the shares.
func TestAUseCaseThatWasIdleHasSavedNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		d, _ := f.start(map[string]int{"sim": 10}, forUseCases(map[string]jobs.UseCase{
			"a": {Share: 0.1}, "b": {Share: 0.1}, jobs.DefaultUseCase: {Share: 0.1},
		}))
		synctest.Wait()
		f.add(3000, jobs.Candidate{Tenant: "t", UseCase: "a"})
		f.rounds(d, 1000)
		f.add(1000, jobs.Candidate{Tenant: "t", UseCase: "b"})
		f.rounds(d, 20)
		if got := count(f.rounds(d, 200), byUseCase); got["a"] < 90 || got["b"] < 90 {
			t.Errorf("of 200 releases %v, want half for each, whoever came first", got)
		}
	})
}
