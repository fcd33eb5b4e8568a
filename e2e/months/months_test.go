//go:build !race

// Package months runs a fleet for a month of virtual time: several processes,
// each with dispatcher, worker and controller, over one real store, and all that
// happens to such a fleet in a month. What was seen is judged by e2e/history.
//
// A plan is drawn from one number: what clients ask, how providers behave, what
// breaks and when. How goroutines take turns is not: the same number brings the
// same month, not the same instructions.
package months

import (
	"flag"
	"math/rand/v2"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/e2e/history"
	"github.com/penstock-dev/penstock/jobs"
)

var seed = flag.Uint64("seed", 1, "draws the plan")

// Invariants 1 to 5 over 30 days and 130,000 jobs; with -short, over one day.
func TestMonth(t *testing.T) {
	days, count := 30, 130_000
	if testing.Short() {
		days, count = 1, 130_000/30
	}
	simulate(t, newPlan(*seed, days, count))
}

func simulate(t *testing.T, p plan) {
	t.Helper()
	begun := time.Now()
	var f *fleet
	var h history.History
	var took time.Duration
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // there is little to keep
	synctest.Test(t, func(t *testing.T) {
		f = newFleet(t, p)
		broken, over := make(chan struct{}), make(chan struct{})
		go func() {
			f.breakAll()
			close(broken)
		}()
		looked := make(chan struct{})
		go func() {
			f.lookAll(over)
			close(looked)
		}()
		f.askAll()
		<-broken
		f.untilAllEnded()
		close(over)
		<-looked
		took = time.Since(f.begun)
		f.close()
		h = f.history()
	})
	f.t = t
	simulated := time.Since(begun)
	f.judge(h)
	f.report(h, took, simulated, time.Since(begun))
}

// untilAllEnded waits until no job is left, or all of them should have ended.
func (f *fleet) untilAllEnded() {
	for last := time.Now().Add(25 * time.Hour); time.Now().Before(last); time.Sleep(time.Minute) {
		if f.count(`SELECT count(*) FROM live_jobs`) == 0 {
			return
		}
	}
}

// lookAll looks every now and then at what should have ended, and at a job or
// two as their clients would.
func (f *fleet) lookAll(over <-chan struct{}) {
	rnd := rand.New(rand.NewPCG(f.plan.seed, 1))
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		f.nothingIsLate()
		for range 4 {
			f.sight(rnd)
		}
	}
}

// nothingIsLate is invariant 1 while it goes on.
func (f *fleet) nothingIsLate() {
	const grace = 5 * time.Second
	f.mu.Lock()
	back := f.back
	f.mu.Unlock()
	if f.away.Load() > 0 || time.Since(back) <= grace {
		return
	}
	if n := f.count(`SELECT count(*) FROM live_jobs WHERE deadline < ?`, time.Now().Add(-grace).UnixMicro()); n > 0 {
		f.t.Errorf("at %s %d jobs live that should have ended %s ago (seed %d)", f.clock(), n, grace, f.plan.seed)
	}
}

// sight looks at a job as its client does, most often at a young one.
func (f *fleet) sight(rnd *rand.Rand) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.seen.Submissions)
	if n == 0 {
		return
	}
	s := f.seen.Submissions[max(0, n-1-int(rnd.ExpFloat64()*30))]
	if s.Job == "" {
		return
	}
	sent := time.Now()
	job, err := f.store.Job(f.t.Context(), s.Tenant, uuid.MustParse(s.Job))
	f.must(err)
	seen := history.Sighting{Job: s.Job, Sent: sent, Answered: time.Now(), Status: string(job.Status)}
	switch {
	case job.Error != nil:
		seen.Outcome = job.Error.Code
	case job.Status == jobs.StatusSucceeded:
		seen.Outcome = digest(job.Result)
	}
	f.seen.Sightings = append(f.seen.Sightings, seen)
}
