//go:build !race

package dispatch_test

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// said is what a queued job was told at some time.
type said struct {
	job jobs.Job
	at  time.Time
	// waiting are the tenants that had jobs waiting then, rivals how many others.
	waiting map[string]bool
	rivals  int
	// started counts what had started.
	started int
}

// Three tenants with all priorities and deadlines share twenty places; one
// comes later, one has nothing waiting. What their queued jobs were told on the
// way is compared with what then happened.
func TestSimWhatQueuedJobsAreToldIsTrue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 20)
		begin := time.Now()
		fill(s, "a", 700, false)
		fill(s, "b", 500, true)
		s.wake()
		var all []said
		for i := 0; len(s.queued()) > 0; i++ {
			time.Sleep(5 * time.Second)
			if i == 6 {
				fill(s, "c", 150, false)
				s.wake()
			}
			s.submit("d", jobs.PriorityNormal, time.Hour)
			s.wake()
			time.Sleep(time.Second)
			synctest.Wait()
			all = append(all, s.ask()...)
			if i > 100 {
				t.Fatal("not done in ten minutes")
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		t.Logf("%d jobs in %v, asked %d times", len(s.all), time.Since(begin), len(all))
		s.checkPositions(all)
		s.checkTimes(all, begin)
		s.checkReasons(all)
	})
}

// fill submits n jobs, with every priority if all is set, and deadlines that
// differ.
func fill(s *stage, tenant string, n int, all bool) {
	s.t.Helper()
	for i := range n {
		priority := jobs.PriorityNormal
		if all && i%10 < 2 {
			priority = []jobs.Priority{jobs.PriorityHigh, jobs.PriorityLow}[i%2]
		}
		s.submit(tenant, priority, time.Hour+time.Duration(s.rnd.IntN(3600))*time.Second)
	}
}

// ask looks at some queued jobs of each tenant.
func (s *stage) ask() []said {
	s.t.Helper()
	var all []said
	queued := s.queued()
	tenants := make(map[string]bool)
	for tenant := range queued {
		tenants[tenant] = true
	}
	for _, waiting := range queued {
		for range min(len(waiting), 15) {
			i := s.rnd.IntN(len(waiting))
			all = append(all, said{
				job: s.look(waiting[i]), at: time.Now(), started: s.starts,
				waiting: tenants, rivals: len(queued) - 1,
			})
		}
	}
	return all
}

// checkPositions: the job in place p started when p-1 of its tenant's that were
// before it had. One of low priority may have had to wait for less: it has a
// share of its own.
func (s *stage) checkPositions(all []said) {
	s.t.Helper()
	for _, one := range all {
		if one.job.Status != jobs.StatusQueued || one.job.Position == 0 {
			s.t.Errorf("a job that has not started is %s in place %d, want queued and told a place",
				one.job.Status, one.job.Position)
			continue
		}
		before, within := s.startedBetween(one)
		low := one.job.Priority == jobs.PriorityLow
		p := one.job.Position - 1
		if within < p && !low || before > p {
			s.t.Errorf("a job of %s, %s, in place %d at %v started after %d to %d others of its tenant",
				one.job.Tenant, one.job.Priority, p+1, one.at, before, within)
		}
	}
}

// startedBetween counts the jobs of the same tenant, those of low priority apart
// where this one is not, that started after one was said and before its job did,
// and those that did so at the same instant as well.
func (s *stage) startedBetween(one said) (before, within int) {
	own := s.begun[one.job.ExecutionID]
	for _, j := range s.all {
		b := s.begun[j.ExecutionID]
		switch {
		case j.Tenant != one.job.Tenant || j.ID == one.job.ID || b.n <= one.started || b.n == 0:
		case j.Priority == jobs.PriorityLow && one.job.Priority != jobs.PriorityLow:
		case j.CreatedAt.After(one.at):
		case b.at.Before(own.at):
			before++
			within++
		case b.at.Equal(own.at):
			within++
		}
	}
	return before, within
}

// checkTimes compares the times that were told with those at which the jobs
// ended, as a part of what was left then: those told before the third tenant
// came, of whom nobody knew, and those after.
func (s *stage) checkTimes(all []said, begin time.Time) {
	s.t.Helper()
	came := slices.IndexFunc(all, func(one said) bool { return one.job.Tenant == "c" })
	for _, part := range []struct {
		name        string
		all         []said
		median, p90 float64
	}{{"before another came", all[:came], 0.4, 1}, {"after", all[came:], 0.25, 0.6}} {
		var off []float64
		told := 0
		for _, one := range part.all {
			if one.at.Sub(begin) < 12*time.Second {
				continue // nobody can know yet
			}
			told++
			if !one.job.ETA.IsZero() {
				over := s.look(one.job).FinishedAt
				off = append(off, one.job.ETA.Sub(over).Abs().Seconds()/over.Sub(one.at).Seconds())
			}
		}
		slices.Sort(off)
		median, p90 := off[len(off)/2], off[len(off)*9/10]
		s.t.Logf("%s: eta told %d times of %d, off by %.0f %% of what was left (median), %.0f %% (p90)",
			part.name, len(off), told, 100*median, 100*p90)
		if median > part.median || p90 > part.p90 || len(off)*10 < told*9 {
			s.t.Errorf("%s: want at most %.0f %% and %.0f %%, told nine times of ten", part.name, 100*part.median, 100*part.p90)
		}
	}
}

// checkReasons: whoever waits for fairness was given about as much of late as the
// others with jobs waiting were on average; whoever waits for capacity was not,
// or there were no others. What changed lately cannot be known yet.
func (s *stage) checkReasons(all []said) {
	s.t.Helper()
	count := make(map[jobs.WaitingOn]int)
	wrong := 0
	for _, one := range all {
		count[one.job.WaitingOn]++
		own, mean := s.startedLately(one)
		switch {
		case s.changed(one):
		case one.rivals == 0 || own < mean/2:
			wrong += btoi(one.job.WaitingOn != jobs.WaitingOnCapacity)
		case own > mean*9/10:
			wrong += btoi(one.job.WaitingOn != jobs.WaitingOnFairness)
		}
	}
	s.t.Logf("waiting_on: %v, %d of them wrong", count, wrong)
	if count[jobs.WaitingOnFairness] < 100 || count[jobs.WaitingOnCapacity] < 100 || 20*wrong > len(all) {
		s.t.Errorf("waiting_on: got %v, %d of them wrong; want both often, and one in twenty wrong at most", count, wrong)
	}
}

// changed reports whether there were other tenants with jobs waiting ten seconds
// before one was said.
func (s *stage) changed(one said) bool {
	then := make(map[string]bool)
	for _, j := range s.all {
		at := one.at.Add(-10 * time.Second)
		if j.CreatedAt.Before(at) && s.begun[j.ExecutionID].at.After(at) {
			then[j.Tenant] = true
		}
	}
	delete(then, "d")
	return !maps.Equal(then, one.waiting)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// startedLately counts the jobs of the tenant that started in the ten seconds
// before one was said, and of those with jobs waiting on average.
func (s *stage) startedLately(one said) (own, mean float64) {
	for _, j := range s.all {
		at := s.begun[j.ExecutionID].at
		if at.After(one.at) || one.at.Sub(at) > 10*time.Second || !one.waiting[j.Tenant] {
			continue
		}
		mean += 1 / float64(len(one.waiting))
		if j.Tenant == one.job.Tenant {
			own++
		}
	}
	return own, mean
}
