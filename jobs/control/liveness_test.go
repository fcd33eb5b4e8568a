package control_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// beating returns the listing of a worker that beats each second until it dies.
func beating(w jobs.Worker, dies func() bool) func() ([]jobs.Worker, error) {
	start, beat := time.Now(), int64(0)
	return func() ([]jobs.Worker, error) {
		if !dies() {
			beat = int64(time.Since(start) / time.Second)
		}
		w.Beat = beat
		return []jobs.Worker{w}, nil
	}
}

func TestDeadWorkerIsReclaimedWithin8Seconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDouble()
		var dead atomic.Bool
		w := jobs.Worker{ID: uuid.New(), Name: "w"}
		d.workers = beating(w, dead.Load)
		var at atomic.Pointer[time.Time]
		d.reclaim = func(jobs.Worker) (jobs.Reclaimed, error) {
			at.Store(new(time.Now()))
			d.set(func() { d.workers = func() ([]jobs.Worker, error) { return nil, nil } })
			return jobs.Reclaimed{Requeued: 2, Ended: []uuid.UUID{uuid.New()}}, nil
		}
		d.run(t)
		after(time.Hour + 700*time.Millisecond)
		if len(under(d, &d.reclaimed)) != 0 {
			t.Fatal("a worker that beats was reclaimed")
		}
		dead.Store(true)
		died := time.Now()
		after(time.Minute)
		if len(under(d, &d.reclaimed)) != 1 || under(d, &d.reclaimed)[0].ID != w.ID || under(d, &d.reclaimed)[0].Beat != 3600 {
			t.Fatalf("reclaimed %+v, want the worker once, as last seen", under(d, &d.reclaimed))
		}
		if took := at.Load().Sub(died); took < 5*time.Second || took > 8*time.Second {
			t.Errorf("reclaimed after %v, want 5 to 8 s", took)
		}
		if d.kinds() != "ended ready " {
			t.Errorf("signalled %q, want ended and ready", d.kinds())
		}
	})
}

// TestInvariant5ObserverThatWasAwayKnowsNothing: who lost the store, or was
// stopped, starts its clocks anew.
func TestInvariant5ObserverThatWasAwayKnowsNothing(t *testing.T) {
	t.Parallel()
	w := jobs.Worker{ID: uuid.New(), Beat: 7}
	still := func() ([]jobs.Worker, error) { return []jobs.Worker{w}, nil } //nolint:unparam // a func field
	for name, interrupt := range map[string]func(d *double){
		"a look failed": func(d *double) {
			d.set(func() { d.workers = func() ([]jobs.Worker, error) { return nil, errors.New("connection reset") } })
			after(time.Second)
			d.set(func() { d.workers = still })
		},
		"the store was away": func(d *double) {
			d.set(func() { d.workers = func() ([]jobs.Worker, error) { return nil, errAway } })
			after(time.Hour)
			d.set(func() { d.workers = still })
		},
		"a look took long": func(d *double) {
			slow := func() ([]jobs.Worker, error) {
				time.Sleep(2100 * time.Millisecond)
				d.set(func() { d.workers = still })
				return still()
			}
			d.set(func() { d.workers = slow })
			after(3 * time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDouble()
				d.workers = still
				d.run(t)
				after(5500 * time.Millisecond)
				interrupt(d)
				after(5500 * time.Millisecond)
				if len(under(d, &d.reclaimed)) != 0 {
					t.Error("reclaimed a worker after less than 6 s of unbroken contact")
				}
				after(4 * time.Second)
				if len(under(d, &d.reclaimed)) == 0 {
					t.Error("never reclaimed the worker")
				}
			})
		})
	}
}

func TestFailedReclaimIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDouble()
		w := jobs.Worker{ID: uuid.New()}
		d.workers = func() ([]jobs.Worker, error) { return []jobs.Worker{w}, nil }
		d.reclaim = func(jobs.Worker) (jobs.Reclaimed, error) {
			if len(under(d, &d.reclaimed)) < 3 {
				return jobs.Reclaimed{}, errAway
			}
			d.set(func() { d.workers = func() ([]jobs.Worker, error) { return nil, nil } })
			return jobs.Reclaimed{Requeued: 1}, nil
		}
		d.run(t)
		after(12 * time.Second)
		if len(under(d, &d.reclaimed)) != 3 || d.kinds() != "ready " {
			t.Errorf("%d tries, signals %q; want 3 and ready", len(under(d, &d.reclaimed)), d.kinds())
		}
	})
}
