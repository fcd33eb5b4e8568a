package control_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/control"
)

func TestLostTasksAreTakenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDouble()
		lost, kept := jobs.Task{Execution: uuid.New(), Fence: 1}, jobs.Task{Execution: uuid.New(), Fence: 1}
		start := time.Now()
		d.unclaimed = func(before time.Time) ([]jobs.Task, error) {
			if before.Before(start) {
				return nil, nil
			}
			return []jobs.Task{lost, kept}, nil
		}
		d.missing = func(tasks []jobs.Task) ([]jobs.Task, error) { return tasks[:1], nil }
		d.run(t)
		after(time.Second)
		if d.count("missing") != 0 {
			t.Error("the queue was asked about a release that is a second old")
		}
		after(time.Second)
		if !slices.Equal(under(d, &d.requeued), []jobs.Task{lost}) || d.kinds() != "ready " {
			t.Errorf("took back %+v and signalled %q, want only what is missing, and ready", under(d, &d.requeued), d.kinds())
		}
	})
}

// TestInvariant5AgeAloneProvesNothing: as long as the queue cannot say what is
// missing, nothing is taken back, however old.
func TestInvariant5AgeAloneProvesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDouble()
		d.unclaimed = func(time.Time) ([]jobs.Task, error) { return make([]jobs.Task, 9), nil }
		d.missing = func(tasks []jobs.Task) ([]jobs.Task, error) { return tasks, errors.New("no queue") }
		d.run(t)
		after(time.Hour)
		if len(under(d, &d.requeued)) != 0 {
			t.Errorf("took back %d releases without knowing", len(under(d, &d.requeued)))
		}
		if n := d.count("missing"); n < 3600 || n > 9000 {
			t.Errorf("asked %d times in an hour, want every second or so", n)
		}
		if n := len(under(d, &d.errs)); n < 59 || n > 61 {
			t.Errorf("%d reports in an hour, want one a minute", n)
		}
	})
}

func TestExpiryGoesOnUntilNothingIsDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDouble()
		due, stopped := 1300, []jobs.Task{{Execution: uuid.New()}}
		d.expire = func() (jobs.Expired, error) {
			n := min(due, 500)
			due -= n
			x := jobs.Expired{Ended: make([]uuid.UUID, n), Stopped: stopped}
			stopped = nil
			return x, nil
		}
		d.run(t)
		synctest.Wait()
		if due != 0 || d.count("expire") != 4 {
			t.Errorf("%d jobs left after %d looks, want none after 3 batches and a look that finds none, without a pause",
				due, d.count("expire"))
		}
		ended := 0
		for _, s := range under(d, &d.signals) {
			ended += len(s.Jobs)
		}
		if ended != 1300 || !strings.Contains(d.kinds(), "stopped ready") {
			t.Errorf("told of %d ends with %q, want 1300, the stopped execution and a free place", ended, d.kinds())
		}
		after(time.Second)
		if n := d.count("expire"); n < 5 || n > 7 {
			t.Errorf("%d looks after a second, want one every 500 ms", n)
		}
	})
}

// TestInvariant1DeadlinesAreKeptToTheMoment: but however many there are, they are
// looked for ten times a second at most.
func TestInvariant1DeadlinesAreKeptToTheMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDouble()
		deadline := time.Now().Add(1777 * time.Millisecond)
		var ended time.Time
		d.expire = func() (jobs.Expired, error) {
			now := time.Now()
			switch {
			case now.Before(deadline):
				return jobs.Expired{Next: deadline}, nil
			case ended.IsZero():
				ended = now
				return jobs.Expired{Ended: make([]uuid.UUID, 1)}, nil
			}
			return jobs.Expired{Next: now.Add(time.Millisecond)}, nil // one more each millisecond
		}
		d.run(t)
		after(10*time.Second + 1777*time.Millisecond)
		if !ended.Equal(deadline) {
			t.Errorf("the job ended %v after its deadline", ended.Sub(deadline))
		}
		if n := d.count("expire"); n < 95 || n > 110 {
			t.Errorf("%d looks, want about 100 in the ten seconds in which there was always more to come", n)
		}
	})
}

// TestInvariant1ExpiryNeedsNoLease: a deadline does not wait for the lease of a
// process that has just died.
func TestInvariant1ExpiryNeedsNoLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDouble()
		dead := uuid.New()
		d.leases["reconcile"], d.leases["upkeep"], d.leases["expire"] = dead, dead, dead
		d.unclaimed = func(time.Time) ([]jobs.Task, error) { return make([]jobs.Task, 9), nil }
		d.run(t)
		after(time.Minute)
		if d.count("expire") < 119 || d.count("workers") < 59 {
			t.Errorf("%v, want expiry and watching without a lease", d.calls)
		}
		if d.count("settle")+d.count("maintain")+d.count("missing") != 0 {
			t.Errorf("%v, want nothing else without a lease", d.calls)
		}
	})
}

func TestUpkeepIsLeasedHourlyAndAtTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDouble()
		one := uuid.New()
		d.settle = func() ([]uuid.UUID, error) {
			if d.count("settle") == 2 {
				return []uuid.UUID{one}, nil
			}
			return nil, nil
		}
		stop := d.run(t)
		synctest.Wait()
		d.run(t)
		synctest.Wait()
		if d.count("maintain") != 1 {
			t.Errorf("maintained %d times at the start, want once over both", d.count("maintain"))
		}
		after(time.Hour + time.Minute)
		if n := d.count("maintain"); n != 2 {
			t.Errorf("maintained %d times in 1 h, want 2", n)
		}
		if n := d.count("settle"); n < 1800 || n > 1840 || d.kinds() != "ended " {
			t.Errorf("settled %d times and signalled %q, want every 2 s by one of both, and the end", n, d.kinds())
		}
		before := d.count("settle")
		stop()
		after(4 * time.Second)
		if d.count("settle") == before {
			t.Error("nobody took over the upkeep when its holder stopped")
		}
	})
}

func TestFailingMaintenanceIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDouble()
		d.maintain = func() error {
			if d.count("maintain") < 10 {
				return errAway
			}
			return nil
		}
		d.run(t)
		after(10 * time.Minute)
		if n := d.count("maintain"); n != 10 || len(under(d, &d.errs)) != 1 {
			t.Errorf("maintained %d times with %d reports, want 10 and 1", n, len(under(d, &d.errs)))
		}
	})
}

func TestWhatIsDueIsDroppedWholly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDouble()
		d.run(t)
		after(time.Minute)
		if n := d.count("drop"); n < 29 || n > 32 {
			t.Errorf("looked %d times in a minute, want every 2 s", n)
		}
		d.mu.Lock()
		d.calls["drop"], d.due = 0, 500
		d.mu.Unlock()
		after(2 * time.Second)
		if n := d.count("drop"); under(d, &d.due) != 0 || n < 3 || n > 4 {
			t.Errorf("%d are left after %d looks, want none after 3", under(d, &d.due), n)
		}
	})
}

func TestRetentionIsKeptHourly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keep  jobs.Retention
		fails error
		want  int
	}{
		"none":       {},
		"all":        {keep: jobs.Retention{Default: 720 * time.Hour}, want: 3},
		"one tenant": {keep: jobs.Retention{Tenants: map[string]time.Duration{"acme": time.Hour}}, want: 3},
		// A look that fails may have held others up: it is not repeated at once.
		"it fails": {keep: jobs.Retention{Default: 720 * time.Hour}, fails: errAway, want: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDouble()
				d.keep, d.retain = c.keep, c.fails
				d.run(t)
				after(2*time.Hour + time.Minute)
				if n := d.count("retain"); n != c.want || !reflect.DeepEqual(under(d, &d.kept), c.keep) {
					t.Errorf("retained %d times with %+v, want %d times with %+v", n, under(d, &d.kept), c.want, c.keep)
				}
				if d.count("maintain") == 0 || d.count("settle") < 3600 {
					t.Errorf("%v, want the rest of the upkeep all the same", d.calls)
				}
			})
		})
	}
}

// Deleting much takes minutes; what must be dropped or settled meanwhile is.
func TestUpkeepDoesNotWaitForRetention(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDouble()
		d.keep, d.retainFor = jobs.Retention{Default: 720 * time.Hour}, 5*time.Minute
		d.run(t)
		after(5 * time.Minute)
		if d.count("retain") != 1 || d.count("settle") < 149 || d.count("drop") < 149 {
			t.Errorf("%v, want settling and dropping each 2 s while old jobs are deleted", d.calls)
		}
	})
}

// TestMaintenanceDoesNotWaitForASettlementThatFails: rooms for the weeks to come
// are made all the same.
func TestMaintenanceDoesNotWaitForASettlementThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDouble()
		d.settle = func() ([]uuid.UUID, error) { return nil, errAway }
		d.run(t)
		after(time.Hour + time.Minute)
		if n := d.count("maintain"); n != 2 || len(under(d, &d.errs)) == 0 {
			t.Errorf("maintained %d times with %d reports in 1 h, want 2 and some", n, len(under(d, &d.errs)))
		}
	})
}

func TestNewNamesTheFieldAtFault(t *testing.T) {
	t.Parallel()
	d := newDouble()
	good := control.Config{Store: d, Queue: d, Signals: d, Holder: uuid.New()}
	for field, breakIt := range map[string]func(*control.Config){
		"Store":   func(c *control.Config) { c.Store = nil },
		"Queue":   func(c *control.Config) { c.Queue = nil },
		"Signals": func(c *control.Config) { c.Signals = nil },
		"Holder":  func(c *control.Config) { c.Holder = uuid.Nil },
	} {
		c := good
		breakIt(&c)
		if _, err := control.New(c); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("New with a bad %s = %v, want an error that names it", field, err)
		}
	}
}
