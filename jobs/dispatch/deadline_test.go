//go:build !race

package dispatch_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// Ten places, calls of two seconds: five jobs a second. A tenant has much with
// all the time there is, submits what is urgent behind it, and what is urgent can
// be done in time.
func TestSimDeadlinesThatCanBeMetAreMet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 10)
		for range 300 {
			s.submit("a", jobs.PriorityNormal, time.Hour)
		}
		s.wake()
		time.Sleep(5 * time.Second)
		var urgent []jobs.Job
		for i := range 60 { // half of what there is room for, the most urgent last
			urgent = append(urgent, s.submit("a", jobs.PriorityNormal, time.Duration(10+(60-i)/3)*time.Second))
		}
		s.wake()
		time.Sleep(90 * time.Second) // they last for 72
		synctest.Wait()
		for _, j := range s.all {
			if now := s.look(j); now.Status != jobs.StatusSucceeded {
				t.Errorf("a job that had %v is %s (%+v), want it succeeded", j.Deadline.Sub(j.CreatedAt), now.Status, now.Error)
			}
		}
		if first, last := s.begun[urgent[59].ExecutionID], s.begun[urgent[0].ExecutionID]; first.n >= last.n {
			t.Errorf("the most urgent started as number %d, the least as number %d", first.n, last.n)
		}
	})
}

// What cannot be done in time expires at its deadline. It costs the tenant's
// other jobs no more than the places it had until then, and other tenants not
// even that.
func TestSimDeadlinesThatCannotBeMetHarmNobody(t *testing.T) {
	t.Parallel()
	without, with := lastEnd(t, 0), lastEnd(t, 400)
	for _, tenant := range []string{"a", "b"} {
		t.Logf("the jobs of %s are done after %v, beside 400 that cannot be after %v", tenant, without[tenant], with[tenant])
		if more := with[tenant] - without[tenant]; more > 3*time.Second {
			t.Errorf("400 jobs of a that cannot be done in time cost %s %v, want at most the 3 s they had", tenant, more)
		}
	}
}

// lastEnd returns when the last of 100 jobs of each of two tenants has ended, when
// one of them has so many others that have three seconds.
func lastEnd(t *testing.T, hopeless int) map[string]time.Duration {
	t.Helper()
	last := make(map[string]time.Duration)
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 10)
		begin := time.Now()
		for range 100 {
			s.submit("a", jobs.PriorityNormal, time.Minute)
			s.submit("b", jobs.PriorityNormal, time.Minute)
		}
		possible := len(s.all)
		for range hopeless {
			s.submit("a", jobs.PriorityNormal, 3*time.Second)
		}
		s.wake()
		time.Sleep(90 * time.Second)
		synctest.Wait()
		for i, j := range s.all {
			now := s.look(j)
			switch late := now.FinishedAt.Sub(j.Deadline); {
			case i < possible && now.Status != jobs.StatusSucceeded:
				t.Errorf("a job of %s that can be done is %s", j.Tenant, now.Status)
			case i < possible:
				last[j.Tenant] = max(last[j.Tenant], now.FinishedAt.Sub(begin))
			case now.Status == jobs.StatusExpired && (late < 0 || late > time.Second):
				t.Errorf("a job expired %v after its deadline, want at most 1 s", late)
			case !now.Status.Terminal():
				t.Errorf("a job is %s long after its deadline", now.Status)
			}
		}
	})
	return last
}
