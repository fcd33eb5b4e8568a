package storagetest

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
)

func fileSweepRules() []fileRule {
	return []fileRule{
		{"files go that have expired", sweepExpired},
		{"files go that are past the retention of jobs", sweepRetained},
		{"uploads go that were abandoned", sweepAbandoned},
		{"files in a bucket are told of until they are forgotten", sweepBucket},
		{"a limit bounds a sweep, and there is more", sweepFileLimit},
		{"sweeps race with uploads and with each other", sweepFilesRace},
	}
}

// sweep sweeps with the limit 100, and returns what is in the bucket.
func (f *fileFixture) sweep(edit func(w *files.Sweep)) []uuid.UUID {
	f.t.Helper()
	w := files.Sweep{Now: f.now, Abandoned: f.at(-day), Limit: 100}
	if edit != nil {
		edit(&w)
	}
	ids, more, err := f.files.SweepFiles(f.t.Context(), w)
	f.must(err, "sweep files")
	equal(f.fixture, more, false, "more to sweep")
	return ids
}

func sweepExpired(f *fileFixture) {
	gone, stays, forever := f.upload("a", expiring(f.at(time.Minute))), f.upload("b", expiring(f.at(time.Hour))), f.upload("c")
	f.sweep(func(w *files.Sweep) { w.Now = f.at(time.Minute - time.Microsecond) })
	f.has(gone, 0, "a")
	f.sweep(func(w *files.Sweep) { w.Now = f.at(time.Minute) })
	f.hasNot(gone)
	f.is(stays)
	f.has(stays, 0, "b")
	f.is(forever)
}

func sweepRetained(f *fileFixture) {
	old, young := f.upload("a", f.begun(f.at(-30*day-time.Second))), f.upload("b", f.begun(f.at(-30*day+time.Second)))
	output := f.virtual(f.begun(f.at(-31 * day)))
	theirs := f.upload("c", ownedBy("short"), f.begun(f.at(-2*day)))
	theirYoung := f.upload("d", ownedBy("short"), f.begun(f.at(-day+time.Second)))
	f.sweep(nil)
	for _, file := range []files.File{old, young, output, theirs, theirYoung} {
		f.is(file)
	}
	f.sweep(func(w *files.Sweep) { w.Retention = jobs.Retention{Tenants: map[string]time.Duration{"short": day}} })
	f.hasNot(theirs)
	f.is(theirYoung)
	f.is(old)
	f.sweep(func(w *files.Sweep) { w.Retention.Default = 30 * day })
	f.hasNot(old)
	f.hasNot(output)
	f.is(young)
	f.has(young, 0, "b")
	f.is(theirYoung)
}

func sweepAbandoned(f *fileFixture) {
	dead, goesOn := f.begin(f.begun(f.at(-day-time.Second))), f.begin(f.begun(f.at(-day+time.Second)))
	whole := f.upload("a", f.begun(f.at(-2*day)))
	f.must(f.put(dead, 0, "a"), "keep a chunk")
	f.sweep(nil)
	f.mustBe(f.put(dead, 1, "b"), files.ErrNotFound, "go on with an upload that was abandoned")
	f.hasNot(dead)
	f.must(f.put(goesOn, 0, "a"), "go on with an upload")
	f.is(whole)
}

func sweepBucket(f *fileFixture) {
	kept, deleted := f.upload("", inBucket), f.upload("", inBucket)
	dead := f.begin(inBucket, f.begun(f.at(-2*day)))
	here := f.upload("a")
	f.must(f.files.DeleteFile(f.t.Context(), tenant, deleted.ID), "delete a file")
	f.must(f.files.DeleteFile(f.t.Context(), tenant, here.ID), "delete a file")
	want := []uuid.UUID{dead.ID, deleted.ID} // as they were created
	for range 2 {
		if got := f.sweep(nil); !slices.Equal(got, want) {
			f.t.Fatalf("in the bucket: got %v, want %v", got, want)
		}
	}
	f.must(f.files.ForgetFiles(f.t.Context(), []uuid.UUID{dead.ID, kept.ID}), "forget files")
	if got := f.sweep(nil); !slices.Equal(got, want[1:]) {
		f.t.Fatalf("in the bucket: got %v, want %v", got, want[1:])
	}
	f.is(kept)
}

func sweepFileLimit(f *fileFixture) {
	for range 5 {
		f.upload("a", expiring(f.at(time.Minute)))
	}
	for range 3 {
		file := f.upload("b", inBucket)
		f.must(f.files.DeleteFile(f.t.Context(), tenant, file.ID), "delete a file")
	}
	forgotten, sweeps := 0, 0
	for more := true; more; sweeps++ {
		var ids []uuid.UUID
		var err error
		ids, more, err = f.files.SweepFiles(f.t.Context(), files.Sweep{Now: f.at(time.Hour), Limit: 2})
		f.must(err, "sweep files")
		if len(ids) > 2 {
			f.t.Fatalf("in the bucket, with limit 2: got %d", len(ids))
		}
		f.must(f.files.ForgetFiles(f.t.Context(), ids), "forget files")
		forgotten += len(ids)
	}
	equal(f.fixture, forgotten, 3, "forgotten")
	equal(f.fixture, sweeps, 3, "sweeps")
	f.list(files.Query{})
}

func sweepFilesRace(f *fileFixture) {
	const many = 12
	all := make([]files.File, many)
	for i := range all {
		all[i] = f.begin(f.begun(f.at(-2 * day)))
	}
	ctx := f.t.Context()
	var group sync.WaitGroup
	for _, file := range all {
		group.Go(func() {
			for n := range 50 {
				err := f.put(file, n, "chunk")
				f.check(err, "keep a chunk", files.ErrNotFound)
				if errors.Is(err, files.ErrNotFound) {
					return
				}
			}
		})
	}
	for range 3 {
		group.Go(func() {
			for range many {
				_, _, err := f.files.SweepFiles(ctx, files.Sweep{Now: f.now, Abandoned: f.at(-day), Limit: 2})
				f.check(err, "sweep files")
			}
		})
	}
	group.Wait()
	f.sweep(nil)
	for _, file := range all {
		f.mustBe(f.put(file, 0, "late"), files.ErrNotFound, "go on with an upload that was abandoned")
		f.hasNot(file)
	}
}
