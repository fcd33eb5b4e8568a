package storagetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

func raceRules() []rule {
	return []rule{
		{"invariant 3: attaching races finishing", attachRacesFinish},
		{"invariant 3: attaching races cancelling", attachRacesCancel},
		{"invariant 3: attaching races expiring", attachRacesExpire},
		{"invariant 2: two finishes race", finishRacesFinish},
		{"invariant 2: finishing races cancelling and expiring", finishRacesEnd},
		{"a claim races a raise", claimRacesRaise},
		{"two claims race", claimRacesClaim},
		{"two releases race", releaseRacesRelease},
	}
}

// rounds is how often each race is run.
const rounds = 25

// atOnce calls each function in a goroutine of its own and waits for all.
func atOnce(functions ...func()) {
	var group sync.WaitGroup
	start := make(chan struct{})
	for _, fn := range functions {
		group.Go(func() { <-start; fn() })
	}
	close(start)
	group.Wait()
}

// check reports an unexpected error from a goroutine.
func (f *fixture) check(err error, doing string, allowed ...error) {
	for _, a := range allowed {
		if errors.Is(err, a) {
			return
		}
	}
	if err != nil {
		f.t.Errorf("%s: %v", doing, err)
	}
}

// submitters returns n functions that submit jobs of one hash, and the jobs.
func (f *fixture) submitters(n int, name string) ([]func(), []uuid.UUID) {
	functions, ids := make([]func(), n), make([]uuid.UUID, n)
	for i := range n {
		s := f.submission(name, withPriority(jobs.Priorities()[i%3]))
		ids[i] = s.Job.ID
		functions[i] = func() {
			_, err := f.store.Submit(f.t.Context(), s)
			f.check(err, "submit")
		}
	}
	return functions, ids
}

// drain runs all that is ready until nothing is, and asserts that nothing is
// left: an execution without jobs, or a job without an execution.
func (f *fixture) drain() {
	f.t.Helper()
	w := f.worker()
	for {
		tasks := f.releaseAll(f.now)
		if len(tasks) == 0 {
			break
		}
		for _, task := range tasks {
			f.finish(f.success(f.claim(task, w), f.at(time.Minute)))
		}
	}
	routes, err := f.store.Routes(f.t.Context())
	f.must(err, "list routes")
	equal(f, len(routes), 0, "routes with live executions when all is done")
	outstanding, err := f.store.Outstanding(f.t.Context())
	f.must(err, "count what is outstanding")
	equal(f, len(outstanding), 0, "outstanding releases when all is done")
}

func attachRacesFinish(f *fixture) {
	for round := range rounds {
		name := fmt.Sprint(round)
		first, work, _ := f.running(name)
		attach, ids := f.submitters(4, name)
		atOnce(append(attach, func() {
			_, err := f.store.Finish(f.t.Context(), f.success(work, f.at(time.Minute)))
			f.check(err, "finish")
		})...)
		f.drain()
		for _, id := range append(ids, first.ID) {
			f.ended(id, jobs.StatusSucceeded)
		}
	}
}

func attachRacesCancel(f *fixture) {
	for round := range rounds {
		name := fmt.Sprint(round)
		first := f.submit(name).Job
		attach, ids := f.submitters(4, name)
		atOnce(append(attach, func() {
			_, _, err := f.store.Cancel(f.t.Context(), tenant, first.ID, f.at(time.Second))
			f.check(err, "cancel")
		})...)
		f.drain()
		f.ended(first.ID, jobs.StatusCancelled)
		for _, id := range ids {
			f.ended(id, jobs.StatusSucceeded)
		}
	}
}

func attachRacesExpire(f *fixture) {
	for round := range rounds {
		name := fmt.Sprint(round)
		first := f.submit(name, withDeadline(f.at(time.Second))).Job
		attach, ids := f.submitters(4, name)
		atOnce(append(attach, func() {
			_, err := f.store.Expire(f.t.Context(), f.at(time.Second), 100)
			f.check(err, "expire")
		})...)
		f.drain()
		f.ended(first.ID, jobs.StatusExpired)
		for _, id := range ids {
			f.ended(id, jobs.StatusSucceeded)
		}
	}
}

func finishRacesFinish(f *fixture) {
	for round := range rounds {
		name := fmt.Sprint(round)
		first, work, _ := f.running(name)
		second := f.submit(name).Job
		var ended [3][]uuid.UUID
		finish := func(i int) func() {
			return func() {
				var err error
				ended[i], err = f.store.Finish(f.t.Context(), f.success(work, f.at(time.Minute)))
				f.check(err, "finish")
			}
		}
		atOnce(finish(0), finish(1), finish(2))
		for _, ids := range ended {
			f.sameIDs(ids, first.ID, second.ID)
		}
		f.ended(first.ID, jobs.StatusSucceeded)
		f.ended(second.ID, jobs.StatusSucceeded)
	}
}

func finishRacesEnd(f *fixture) {
	for round := range rounds {
		name := fmt.Sprint(round)
		_, work, _ := f.running(name, withDeadline(f.at(time.Minute)))
		attach, _ := f.submitters(3, name)
		atOnce(attach...)
		list, err := f.store.Jobs(f.t.Context(), jobs.JobQuery{Tenant: tenant, Status: jobs.StatusRunning, Limit: 10})
		f.must(err, "list the running jobs")
		equal(f, len(list), 4, "running jobs")
		atOnce(
			func() {
				_, err := f.store.Finish(f.t.Context(), f.success(work, f.at(time.Second)))
				f.check(err, "finish", jobs.ErrStale)
			},
			func() {
				for _, j := range list[:2] {
					_, _, err := f.store.Cancel(f.t.Context(), tenant, j.ID, f.at(time.Second))
					f.check(err, "cancel")
				}
			},
			func() {
				_, err := f.store.Expire(f.t.Context(), f.at(2*time.Hour), 100)
				f.check(err, "expire")
			},
		)
		f.drain()
		for _, j := range list {
			now := f.job(j.ID)
			if !now.Status.Terminal() {
				f.t.Fatalf("job %s: got status %s, want a terminal one", j.ID, now.Status)
			}
			f.toldOf(now)
		}
	}
}

func claimRacesRaise(f *fixture) {
	w := f.worker()
	for round := range rounds {
		name := fmt.Sprint(round)
		first := f.submit(name, withPriority(jobs.PriorityLow)).Job
		task := f.release(f.now)
		claim := f.claimOf(task, w)
		raise := f.submission(name, withPriority(jobs.PriorityHigh))
		var raised jobs.Submitted
		var claimed error
		atOnce(
			func() { _, claimed = f.store.Claim(f.t.Context(), claim) },
			func() {
				var err error
				raised, err = f.store.Submit(f.t.Context(), raise)
				f.check(err, "submit")
			},
		)
		f.check(claimed, "claim", jobs.ErrStale)
		if raised.Ready == (claimed == nil) {
			f.t.Fatalf("raise made it ready: %v, claim answered %v; want just one of the two", raised.Ready, claimed)
		}
		if claimed == nil {
			f.cancel(first.ID)
			f.cancel(raise.Job.ID)
			continue
		}
		f.drain()
		f.ended(first.ID, jobs.StatusSucceeded)
		f.ended(raise.Job.ID, jobs.StatusSucceeded)
	}
}

func claimRacesClaim(f *fixture) {
	a, b := f.worker(), f.worker()
	for round := range rounds {
		job := f.submit(fmt.Sprint(round)).Job
		task := f.release(f.now)
		claims, errs := [2]jobs.Claim{f.claimOf(task, a), f.claimOf(task, b)}, [2]error{}
		atOnce(
			func() { _, errs[0] = f.store.Claim(f.t.Context(), claims[0]) },
			func() { _, errs[1] = f.store.Claim(f.t.Context(), claims[1]) },
		)
		if (errs[0] == nil) == (errs[1] == nil) {
			f.t.Fatalf("two claims of one release: got errors %v, want just one", errs)
		}
		f.check(errs[0], "claim", jobs.ErrStale)
		f.check(errs[1], "claim", jobs.ErrStale)
		equal(f, len(f.calls(job.ID)), 1, "calls")
	}
}

func releaseRacesRelease(f *fixture) {
	for round := range rounds {
		f.submit(fmt.Sprint(round))
		candidate := f.ready(jobs.PriorityNormal, f.now)
		equal(f, len(candidate), 1, "ready executions")
		var tasks [3][]jobs.Task
		release := func(i int) func() {
			return func() {
				var err error
				tasks[i], err = f.store.Release(f.t.Context(), []jobs.Release{releaseOf(candidate[0])}, f.now)
				f.check(err, "release")
			}
		}
		atOnce(release(0), release(1), release(2))
		equal(f, len(tasks[0])+len(tasks[1])+len(tasks[2]), 1, "releases made of one candidate")
	}
}
