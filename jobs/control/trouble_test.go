package control_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// TestKilledWorkersJobsRunElsewhereWithin15Seconds: the process killed is also
// the one that dispatches and that holds the other leases.
func TestKilledWorkersJobsRunElsewhereWithin15Seconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		first := make(chan struct{}) // never closed while it matters: a killed process answers nobody
		f.call = func(ctx context.Context, p *process, _ providers.Request) (providers.Response, error) {
			if p.name == "first" {
				select {
				case <-first:
				case <-ctx.Done():
				}
			}
			return whole, nil
		}
		p := f.start("first", 20)
		synctest.Wait()
		f.submit(20, "a", time.Hour)
		time.Sleep(10 * time.Second)
		f.start("second", 20)
		time.Sleep(10 * time.Second)
		if n := len(f.made()); n != 20 {
			t.Fatalf("%d calls before the kill, want 20 in the first process", n)
		}
		p.kill()
		killed := time.Now()
		time.Sleep(15 * time.Second)
		synctest.Wait()
		made := f.made()
		if len(made) != 40 || made[39].by.name != "second" {
			t.Fatalf("%d calls 15 s after the kill, want 20 more in the second process", len(made))
		}
		t.Logf("the last of 20 jobs ran elsewhere %v after the kill", made[39].at.Sub(killed))
		f.allEnded(jobs.StatusSucceeded)

		// Invariant 2: it comes back with its answers; nothing changes.
		p.dead.Store(false)
		close(first)
		time.Sleep(10 * time.Second)
		f.allEnded(jobs.StatusSucceeded)
	})
}

// TestInvariant5ThreeCrashesPoison: a request that kills its worker ends.
func TestInvariant5ThreeCrashesPoison(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.call = func(ctx context.Context, p *process, _ providers.Request) (providers.Response, error) {
			if p.name != "survivor" {
				p.kill()
			}
			<-ctx.Done()
			return providers.Response{}, &providers.Error{Class: providers.Cancelled}
		}
		f.start("mortal 1", 1)
		synctest.Wait()
		j := f.submit(1, "a", time.Hour)[0]
		for n := 2; n <= jobs.MaxCrashes+1; n++ {
			time.Sleep(time.Second)
			f.start(fmt.Sprint("mortal ", n), 1)
			time.Sleep(20 * time.Second)
		}
		synctest.Wait()
		got := f.job(j)
		if got.Status != jobs.StatusFailed || got.Error.Code != jobs.CodePoisoned || len(f.made()) != jobs.MaxCrashes {
			t.Errorf("after %d calls the job is %s (%+v), want poisoned after %d", len(f.made()), got.Status, got.Error, jobs.MaxCrashes)
		}
	})
}

// TestInvariant1QueueIsDisposable: the queue is emptied again and again.
func TestInvariant1QueueIsDisposable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.call = func(context.Context, *process, providers.Request) (providers.Response, error) {
			time.Sleep(3 * time.Second)
			return whole, nil
		}
		f.start("first", 5)
		f.start("second", 5)
		f.submit(150, "a", time.Hour)
		for range 20 {
			time.Sleep(1700 * time.Millisecond)
			f.queue.Lose()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		f.allEnded(jobs.StatusSucceeded)
	})
}

// TestInvariant1StoreAway: while the store is away deadlines pass; within 5 s
// of its return those jobs have ended, and all others go on.
func TestInvariant1StoreAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.call = func(context.Context, *process, providers.Request) (providers.Response, error) {
			time.Sleep(30 * time.Second)
			return whole, nil
		}
		f.start("first", 5)
		f.start("second", 5)
		late := f.submit(30, "late", 2*time.Minute)
		time.Sleep(10 * time.Second)
		f.away.Store(true)
		time.Sleep(3 * time.Minute)
		f.away.Store(false)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		ended := make(map[jobs.Status]int)
		for _, j := range late {
			ended[f.job(j).Status]++
		}
		// The ten that were running had their answer in time; it was kept.
		if ended[jobs.StatusExpired] < 20 || ended[jobs.StatusExpired]+ended[jobs.StatusSucceeded] != 30 {
			t.Errorf("5 s after the store's return: %v, want 20 expired and each of the 10 others ended", ended)
		}
		f.jobs = nil
		f.submit(10, "b", time.Hour)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		f.allEnded(jobs.StatusSucceeded)
	})
}

// TestInvariant5OutageIsNoCrash: the store was away from all; nobody's silence
// means anything.
func TestInvariant5OutageIsNoCrash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.call = func(context.Context, *process, providers.Request) (providers.Response, error) {
			time.Sleep(3 * time.Minute)
			return whole, nil
		}
		f.start("first", 5)
		f.start("second", 5)
		f.submit(10, "a", time.Hour)
		time.Sleep(10 * time.Second)
		for range 3 {
			f.away.Store(true)
			time.Sleep(40 * time.Second)
			f.away.Store(false)
			time.Sleep(7 * time.Second)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(f.made()); n != 10 {
			t.Errorf("%d calls for 10 jobs, want none repeated", n)
		}
		f.allEnded(jobs.StatusSucceeded)
	})
}

func TestCancelledJobsCallIsCancelledAndRecorded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.call = func(ctx context.Context, _ *process, _ providers.Request) (providers.Response, error) {
			<-ctx.Done()
			return providers.Response{}, &providers.Error{Class: providers.Cancelled, Partial: "half"}
		}
		f.start("first", 5)
		j := f.submit(1, "a", time.Hour)[0]
		time.Sleep(10 * time.Second)
		_, stopped, err := f.store.Cancel(t.Context(), j.Tenant, j.ID, time.Now().UTC())
		f.must(err)
		f.must(f.queue.Send(t.Context(), jobs.Signal{
			Kind: jobs.SignalStopped, Executions: []uuid.UUID{stopped[0].Execution},
		}))
		synctest.Wait()
		calls, err := f.store.Calls(t.Context(), j.Tenant, j.ID)
		f.must(err)
		if len(calls) != 1 || calls[0].Status != jobs.CallCancelled || calls[0].Partial != "half" {
			t.Errorf("calls %+v, want one, cancelled at once", calls)
		}
		f.allEnded(jobs.StatusCancelled)
	})
}

// TestInvariant1MuchTrouble: errors of all kinds, lost queues, dying and
// new processes, for ten simulated minutes; every job ends once.
func TestInvariant1MuchTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var n atomic.Int64
		f.call = func(ctx context.Context, _ *process, _ providers.Request) (providers.Response, error) {
			k := n.Add(1)
			if err := waitFor(ctx, time.Duration(k%90)*time.Second); err != nil {
				return providers.Response{}, &providers.Error{Class: providers.Cancelled}
			}
			switch k % 7 {
			case 1, 2:
				return providers.Response{}, &providers.Error{Class: providers.RateLimited, RetryAfter: 10 * time.Second}
			case 3:
				return providers.Response{}, &providers.Error{Class: providers.ServerError}
			}
			return whole, nil
		}
		p := f.start("0", 10)
		for minute := range 10 {
			f.submit(8, fmt.Sprint("tenant ", minute%3), time.Hour)
			time.Sleep(time.Minute)
			switch minute % 4 {
			case 1:
				f.queue.Lose()
			case 2:
				p.kill()
				p = f.start(fmt.Sprint(minute), 10)
			}
		}
		time.Sleep(8 * time.Minute)
		synctest.Wait()
		f.eachEndedOnce()
	})
}

// eachEndedOnce asserts that every job is terminal and told of it once.
func (f *fleet) eachEndedOnce() {
	f.t.Helper()
	statuses := make(map[jobs.Status]int)
	for _, j := range f.jobs {
		now := f.job(j)
		statuses[now.Status]++
		events, err := f.store.Events(f.t.Context(), j.Tenant, j.ID)
		f.must(err)
		if !now.Status.Terminal() || len(events) != 1 || now.FinishedAt.After(now.Deadline.Add(time.Second)) {
			f.t.Errorf("job %+v with %d events, want it ended once, by its deadline", now, len(events))
		}
	}
	f.t.Logf("%d jobs, %d calls: %v", len(f.jobs), len(f.made()), statuses)
}

func waitFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
