package dispatch_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// One whose time is known is released at it; one that was given back since the
// last look within PollInterval.
func TestWaitingIsReleasedAtItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		start := time.Now()
		known := f.add(1, jobs.Candidate{Tenant: "a"})
		f.park(start.Add(2345*time.Millisecond), known...)
		f.start(map[string]int{"sim": 10})
		time.Sleep(2344 * time.Millisecond)
		if log := f.logged(); len(log) != 0 {
			t.Fatalf("released %d before their time", len(log))
		}
		time.Sleep(2 * time.Millisecond)
		log := f.logged()
		if len(log) != 1 || log[0].at.Sub(start) != 2345*time.Millisecond {
			t.Fatalf("released %+v, want the one at 2.345s", log)
		}
		late := f.add(1, jobs.Candidate{Tenant: "a"})
		f.park(time.Now().Add(time.Millisecond), late...)
		time.Sleep(time.Second + time.Millisecond)
		if log := f.logged(); len(log) != 1 {
			t.Fatalf("released %d a poll interval after their time, want 1", len(log))
		}
	})
}

// One that was given back since the last look is released at its time if that was
// told, whatever other times were.
func TestWhatIsToldIsReleasedAtItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		d, _ := f.start(map[string]int{"sim": 10})
		synctest.Wait() // it has looked, and would look again in a second
		start := time.Now()
		for _, after := range []time.Duration{500 * time.Millisecond, 50 * time.Millisecond, 300 * time.Millisecond} {
			f.park(start.Add(after), f.add(1, jobs.Candidate{Tenant: "a"})...)
			d.WakeAt(start.Add(after))
		}
		d.WakeAt(time.Time{})
		time.Sleep(900 * time.Millisecond)
		var at []time.Duration
		for _, r := range f.logged() {
			at = append(at, r.at.Sub(start))
		}
		if want := []time.Duration{50 * time.Millisecond, 300 * time.Millisecond, 500 * time.Millisecond}; !slices.Equal(at, want) {
			t.Errorf("released at %v, want %v", at, want)
		}
	})
}

// Very many that are due at once come back in batches, between which the others
// have their turn.
func TestManyAreDueAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.park(time.Now().Add(time.Second), f.add(20_000, jobs.Candidate{Tenant: "big"})...)
		d, _ := f.start(map[string]int{"sim": 1000})
		time.Sleep(time.Second)
		f.add(5, jobs.Candidate{Tenant: "small"})
		d.Wake()
		time.Sleep(time.Millisecond)
		if n := count(f.logged(), byTenant)["small"]; n != 5 {
			t.Errorf("released %d of the small tenant at once, want 5", n)
		}
		time.Sleep(time.Second)
		f.mu.Lock()
		defer f.mu.Unlock()
		if n := len(f.runAt); n != 0 {
			t.Errorf("%d still wait a second after their time, want 0", n)
		}
		if f.unparks > 50 {
			t.Errorf("asked %d times for 20,000, want at most 50", f.unparks)
		}
	})
}
