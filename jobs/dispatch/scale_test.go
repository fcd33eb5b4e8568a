//go:build !race

package dispatch_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// Invariant 9 over the real store and the real worker: two tenants of 200 jobs
// beside one that has 20,000 queued and all fifty places, as against alone; and
// all that was done in that time, as against one tenant having it all. In short form
// there are ten places and a fifth of the jobs; the huge one has 500, which last for
// the minute.
func TestSimSmallTenantsBesideAHugeOne(t *testing.T) {
	t.Parallel()
	places, huge, small := 50, 20_000, 200
	if testing.Short() {
		places, huge, small = 10, 500, 40
	}
	alone, _ := smallOnes(t, places, 0, small)
	beside, fair := smallOnes(t, places, huge, small)
	_, unfair := smallOnes(t, places, huge, 0)
	t.Logf("two tenants of %d: alone %v, beside one of %d %v; in a minute %d jobs of all tenants, %d of one alone",
		small, alone, huge, beside, fair, unfair)
	if beside > 2*alone {
		t.Errorf("two tenants of %d took %v beside one of %d, alone %v; want at most twice that", small, beside, huge, alone)
	}
	if float64(fair) < 0.95*float64(unfair) {
		t.Errorf("%d jobs were started in a minute by three tenants, %d by one; want at most 5 %% less", fair, unfair)
	}
}

// smallOnes returns how long two tenants of so many jobs take, who come when
// another is at work on its own, and how many jobs started in a minute from then.
func smallOnes(t *testing.T, places, huge, small int) (took time.Duration, started int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, places)
		for range huge {
			s.submit("a-huge", jobs.PriorityNormal, time.Hour)
		}
		s.wake()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		came, before := time.Now(), s.starts
		for range small {
			s.submit("b", jobs.PriorityNormal, time.Hour)
			s.submit("z", jobs.PriorityNormal, time.Hour)
		}
		s.wake()
		time.Sleep(time.Minute)
		synctest.Wait()
		started = s.starts - before
		for _, j := range s.all[huge:] {
			now := s.look(j)
			if now.Status != jobs.StatusSucceeded {
				t.Errorf("a job of %s is %s a minute after it came", j.Tenant, now.Status)
			}
			took = max(took, now.FinishedAt.Sub(came))
		}
	})
	return took, started
}
