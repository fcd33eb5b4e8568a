package storagetest

import (
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
)

func batchLeaseRules() []batchRule {
	return []batchRule{
		{"batches that nobody holds are given out, the oldest first", batchesAreLeased},
		{"what has ended is given to nobody", batchEndedIsFree},
		{"what is paused with nothing live is given to nobody before its deadline", batchPausedIsFree},
		{"a lease ends unless it is renewed", batchLeaseLasts},
		{"a renewed batch is told as it is now", batchRenewedAsNow},
		{"a batch that is given up is another's at once", batchIsReleased},
		{"nobody but the holder does anything", batchOfAnotherHolder},
	}
}

func batchesAreLeased(f *batchFixture) {
	a, b, c := f.batch(), f.batch(func(b *batches.Batch) { b.Tenant = "other" }), f.batch()
	_, err := f.batches.PauseBatch(f.t.Context(), tenant, c.ID, true)
	f.must(err, "pause")
	f.cancelBatch(b)
	got, err := f.batches.LeaseBatches(f.t.Context(), f.holder, 2)
	f.must(err, "lease batches")
	f.batchIDs(got, a, b)
	f.same(got[1], f.batchNow(b), "leased")
	f.batchIDs(f.leaseBatches(newID(f.t)), c)
	f.batchIDs(f.leaseBatches(f.holder))
	f.batchIDs(f.leaseBatches(newID(f.t)))
}

func batchEndedIsFree(f *batchFixture) {
	ended, rejected := f.cancelled(1), f.batch()
	f.holds()
	f.must(f.batches.RejectBatch(f.t.Context(), f.holder, rejected.ID, nil, 0, f.now, nil), "reject")
	f.batchIDs(f.renewBatches(f.holder, ended, rejected))
	f.batchIDs(f.leaseBatches(newID(f.t)))
	f.retry(ended)
	f.batchIDs(f.leaseBatches(newID(f.t)), ended)
}

func batchPausedIsFree(f *batchFixture) {
	by := func(in time.Duration) batchEdit { // by the clock of the store, as leases are
		return func(b *batches.Batch) { b.Deadline = time.Now().UTC().Truncate(time.Microsecond).Add(in) }
	}
	idle, live, late := f.begun(2, by(time.Hour)), f.begun(2, by(time.Hour)), f.begun(2, by(-time.Hour))
	f.start(live, 1)
	all := []batches.Batch{idle, live, late}
	for _, b := range all {
		_, err := f.batches.PauseBatch(f.t.Context(), tenant, b.ID, true)
		f.must(err, "pause")
	}
	f.must(f.batches.ReleaseBatches(f.t.Context(), f.holder, batchIDs(all)), "release")
	f.batchIDs(f.leaseBatches(f.holder), live, late)
	_, err := f.batches.PauseBatch(f.t.Context(), tenant, idle.ID, false)
	f.must(err, "resume")
	f.batchIDs(f.leaseBatches(f.holder), idle)
	_, err = f.batches.PauseBatch(f.t.Context(), tenant, idle.ID, true)
	f.must(err, "pause")
	f.must(f.batches.ReleaseBatches(f.t.Context(), f.holder, batchIDs(all)), "release")
	f.cancelBatch(idle)
	f.batchIDs(f.leaseBatches(f.holder), idle, live, late)
}

func (f *batchFixture) renewBatches(holder uuid.UUID, list ...batches.Batch) []batches.Batch {
	f.t.Helper()
	got, err := f.batches.RenewBatches(f.t.Context(), holder, batchIDs(list))
	f.must(err, "renew batches")
	return got
}

func batchIDs(list []batches.Batch) []uuid.UUID {
	ids := make([]uuid.UUID, len(list))
	for i, b := range list {
		ids[i] = b.ID
	}
	return ids
}

// A lease that is not renewed ends, and one that is renewed does not: both are waited for
// at once, for that takes long.
func batchLeaseLasts(f *batchFixture) {
	kept, lost, free := f.begun(3), f.begun(3), f.begun(3)
	before := time.Now()
	f.batchIDs(f.renewBatches(f.holder, kept, lost, free), kept, lost, free)
	other := newID(f.t)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for got := []batches.Batch(nil); len(got) == 0; <-tick.C {
		if time.Since(before) > 30*time.Second {
			f.t.Fatal("the lease does not end")
		}
		f.batchIDs(f.renewBatches(f.holder, kept), kept)
		var err error
		got, err = f.batches.LeaseBatches(f.t.Context(), other, 1)
		f.must(err, "lease a batch")
	}
	f.notHeld(f.holder, free) // nobody holds it
	if lasted := time.Since(before); lasted < batches.LeaseTime {
		f.t.Fatalf("a lease of %v was another's after %v", batches.LeaseTime, lasted)
	}
	f.batchIDs(f.leaseBatches(newID(f.t)), free)
	f.batchIDs(f.renewBatches(f.holder, kept, lost, free), kept)
	f.batchIDs(f.renewBatches(other, kept, lost), lost)
	f.notHeld(f.holder, lost)
	f.start(kept, 1)
}

func batchRenewedAsNow(f *batchFixture) {
	b := f.begun(3)
	f.start(b, 1)
	f.cancelBatch(b)
	_, err := f.batches.PauseBatch(f.t.Context(), tenant, b.ID, true)
	f.must(err, "pause")
	got := f.renewBatches(f.holder, f.newBatch(), b)
	f.batchIDs(got, b)
	f.same(got[0], f.batchNow(b), "renewed")
}

func batchIsReleased(f *batchFixture) {
	a, b := f.begun(1), f.begun(1)
	other := newID(f.t)
	f.must(f.batches.ReleaseBatches(f.t.Context(), other, batchIDs([]batches.Batch{a, b})), "release another's")
	f.batchIDs(f.leaseBatches(other))
	f.must(f.batches.ReleaseBatches(f.t.Context(), f.holder, []uuid.UUID{a.ID}), "release")
	f.batchIDs(f.renewBatches(f.holder, a, b), b)
	f.notHeld(f.holder, a)
	f.batchIDs(f.leaseBatches(other), a)
}

func batchOfAnotherHolder(f *batchFixture) {
	b := f.begun(3)
	f.start(b, 1)
	f.startEnded(b, 2, "succeeded")
	for _, of := range []batches.Batch{b, f.batch(), f.newBatch()} {
		f.notHeld(newID(f.t), of)
	}
	f.collect(b, 1)
}

// notHeld fails the test unless the holder can do nothing with the batch, and does nothing.
func (f *batchFixture) notHeld(holder uuid.UUID, b batches.Batch) {
	f.t.Helper()
	before, _ := f.batches.Batch(f.t.Context(), b.Tenant, b.ID)
	lines := f.lines(b)
	ctx, s := f.t.Context(), f.batches
	_, err := s.BeginBatch(ctx, holder, b.ID, f.now)
	f.mustBe(err, batches.ErrNotHeld, "begin")
	_, _, err = s.CollectLines(ctx, holder, b.ID, 1, 10)
	f.mustBe(err, batches.ErrNotHeld, "collect")
	_, err = s.EndLines(ctx, holder, b.ID, batches.LineExpired, batches.CodeBatchExpired, nil, 10)
	f.mustBe(err, batches.ErrNotHeld, "end lines")
	for doing, err := range map[string]error{
		"append":   s.AppendLines(ctx, holder, b.ID, before.Read, batches.Cursor{Lines: 9, Bytes: 9}, linesBetween(8, 9)),
		"reject":   s.RejectBatch(ctx, holder, b.ID, nil, 1, f.now, nil),
		"start":    s.StartLines(ctx, holder, b.ID, []batches.Started{{N: 3, Job: newID(f.t)}}),
		"withdraw": s.WithdrawLines(ctx, holder, b.ID, []int{1}),
		"finalize": s.FinalizeBatch(ctx, holder, b.ID, f.now),
		"end":      s.EndBatch(ctx, holder, b.ID, batches.StatusCompleted, f.now, f.batchEvent()),
	} {
		f.mustBe(err, batches.ErrNotHeld, doing)
	}
	after, _ := f.batches.Batch(ctx, b.Tenant, b.ID)
	f.same(after, before, "batch")
	f.same(f.lines(b), lines, "lines")
}
