package storagetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

func batchRaceRules() []batchRule {
	return []batchRule{
		{"of many keepers each batch has one", keepersRace},
		{"a page that many append is kept once", appendsRace},
		{"a keeper that loses its lease midway leaves off where the next goes on", leaseLostMidway},
		{"after a cancellation no line is started", cancelRacesStart},
		{"what many collect while it ends is counted once", collectsRace},
		{"of many retries one has the lines", retriesRace},
		{"a batch is deleted, or retried", deleteRacesRetry},
	}
}

func keepersRace(f *batchFixture) {
	const many = 20
	for range many {
		f.batch()
	}
	var group sync.WaitGroup
	var lock sync.Mutex
	holders := map[uuid.UUID][]uuid.UUID{}
	for range 6 {
		holder := newID(f.t)
		group.Go(func() {
			for range many {
				got, err := f.batches.LeaseBatches(f.t.Context(), holder, 3)
				f.check(err, "lease batches")
				lock.Lock()
				for _, b := range got {
					holders[b.ID] = append(holders[b.ID], holder)
				}
				lock.Unlock()
			}
		})
	}
	group.Wait()
	equal(f.fixture, len(holders), many, "batches that are held")
	for id, by := range holders {
		if len(by) != 1 {
			f.t.Fatalf("batch %s is held by %v, want one", id, by)
		}
	}
}

func appendsRace(f *batchFixture) {
	b := f.batch()
	f.holds()
	to := batches.Cursor{Lines: 20, Bytes: 2000}
	var group sync.WaitGroup
	var lock sync.Mutex
	kept := 0
	for range 8 {
		group.Go(func() {
			err := f.batches.AppendLines(f.t.Context(), f.holder, b.ID, batches.Cursor{}, to, linesBetween(0, 20))
			f.check(err, "append", batches.ErrNotHeld)
			lock.Lock()
			defer lock.Unlock()
			if err == nil {
				kept++
			}
		})
	}
	group.Wait()
	equal(f.fixture, kept, 1, "appends that were kept")
	f.counts(b, batches.Counts{Total: 20, Pending: 20})
}

// readOn appends pages of a batch until all lines are there, or it is another's.
func (f *batchFixture) readOn(holder uuid.UUID, b batches.Batch, lines int) error {
	for at := b.Read; at.Lines < lines; {
		to := batches.Cursor{Lines: at.Lines + 5, Bytes: int64(at.Lines+5) * 100}
		err := f.batches.AppendLines(f.t.Context(), holder, b.ID, at, to, linesBetween(at.Lines, to.Lines))
		if err != nil {
			return err
		}
		at = to
	}
	return nil
}

func leaseLostMidway(f *batchFixture) {
	const lines = 300
	b := f.batch()
	f.holds()
	var group sync.WaitGroup
	group.Go(func() { f.check(f.readOn(f.holder, b, lines), "read on", batches.ErrNotHeld) })
	group.Go(func() {
		f.check(f.batches.ReleaseBatches(f.t.Context(), f.holder, []uuid.UUID{b.ID}), "release")
		next := newID(f.t)
		got, err := f.batches.LeaseBatches(f.t.Context(), next, 1)
		for err == nil && len(got) == 0 { // another has the row for a moment
			got, err = f.batches.LeaseBatches(f.t.Context(), next, 1)
		}
		f.check(err, "lease")
		f.check(f.readOn(next, got[0], lines), "read on what another has begun")
	})
	group.Wait()
	f.same(f.lines(b), linesBetween(0, lines), "lines")
	f.counts(b, batches.Counts{Total: lines, Pending: lines})
}

func cancelRacesStart(f *batchFixture) {
	const lines = 40
	b := f.begun(lines)
	job := f.submit("a", withBatch(b)).Job.ID
	var group sync.WaitGroup
	var lock sync.Mutex
	cancelled := make(chan struct{})
	begun, late := 0, 0
	for n := 1; n <= lines; n++ {
		group.Go(func() {
			var after bool
			select {
			case <-cancelled:
				after = true
			default:
			}
			err := f.batches.StartLines(f.t.Context(), f.holder, b.ID, []batches.Started{{N: n, Job: job}})
			f.check(err, "start a line", batches.ErrStatus)
			lock.Lock()
			defer lock.Unlock()
			if err == nil {
				begun++
			}
			if err == nil && after {
				late++
			}
		})
		if n == lines/2 {
			group.Go(func() {
				_, err := f.batches.CancelBatch(f.t.Context(), tenant, b.ID, f.now)
				f.check(err, "cancel")
				close(cancelled)
			})
		}
	}
	group.Wait()
	equal(f.fixture, late, 0, "lines started after the cancellation")
	f.counts(b, batches.Counts{Total: lines, Pending: lines - begun, Live: begun})
	f.endLines(b, batches.LineCancelled, batches.CodeBatchCancelled, lines-begun)
}

func collectsRace(f *batchFixture) {
	const lines = 30
	b := f.begun(lines)
	list := f.start(b, counted(lines)...)
	var group sync.WaitGroup
	var lock sync.Mutex
	sum := 0
	for i := range 3 {
		group.Go(func() {
			for n := i; n < lines; n += 3 {
				_, _, err := f.store.Cancel(f.t.Context(), tenant, list[n].ID, f.at(time.Duration(n)*time.Second))
				f.check(err, "cancel a job")
				_, collected, err := f.batches.CollectLines(f.t.Context(), f.holder, b.ID, 0, 4)
				f.check(err, "collect")
				lock.Lock()
				sum += collected
				lock.Unlock()
			}
		})
	}
	group.Wait()
	_, rest, err := f.batches.CollectLines(f.t.Context(), f.holder, b.ID, 0, lines)
	f.must(err, "collect the rest")
	equal(f.fixture, sum+rest, lines, "collected")
	f.counts(b, batches.Counts{Total: lines, Cancelled: lines})
	places := map[int64]bool{}
	for _, l := range f.lines(b) {
		places[l.Seq] = true
	}
	for seq := int64(1); seq <= lines; seq++ {
		if !places[seq] {
			f.t.Fatalf("no line is at place %d: %v", seq, places)
		}
	}
}

// counted returns the numbers from 1 to n.
func counted(n int) []int {
	ns := make([]int, n)
	for i := range ns {
		ns[i] = i + 1
	}
	return ns
}

func retriesRace(f *batchFixture) {
	b := f.cancelled(5)
	var group sync.WaitGroup
	var lock sync.Mutex
	all := map[string]int{}
	for range 8 {
		group.Go(func() {
			_, n, err := f.batches.RetryBatch(f.t.Context(), tenant, b.ID, f.now, f.at(time.Hour))
			f.check(err, "retry", batches.ErrNotEnded)
			lock.Lock()
			defer lock.Unlock()
			all[fmt.Sprint(n, err == nil)]++
		})
	}
	group.Wait()
	f.same(all, map[string]int{"5 true": 1, "0 false": 7}, "retries")
	equal(f.fixture, f.lineNow(b, 3).Round, 1, "round")
	f.counts(b, batches.Counts{Total: 5, Pending: 5})
}

func deleteRacesRetry(f *batchFixture) {
	for range 5 {
		b := f.cancelled(3)
		var group sync.WaitGroup
		var deleted, retried error
		group.Go(func() { deleted = f.batches.DeleteBatch(f.t.Context(), tenant, b.ID) })
		group.Go(func() { _, _, retried = f.batches.RetryBatch(f.t.Context(), tenant, b.ID, f.now, f.at(time.Hour)) })
		group.Wait()
		switch {
		case deleted == nil && errors.Is(retried, jobs.ErrNotFound):
			f.noBatch(b)
			f.hasNoFiles(b, f.now)
		case retried == nil && errors.Is(deleted, batches.ErrNotEnded):
			f.counts(b, batches.Counts{Total: 3, Pending: 3})
			f.hasFiles(b, f.now, f.now, time.Time{})
		default:
			f.t.Fatalf("delete: %v, retry: %v, want one of them to be done", deleted, retried)
		}
	}
}
