package storagetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
)

func batchFileRules() []batchRule {
	return []batchRule{
		{"a batch has files of its answers", batchHasFiles},
		{"a batch without input is not made", batchNeedsInput},
		{"the files of a batch expire when they should", batchFilesExpire},
		{"a retry has its files, also those that have expired", batchFilesAreRestored},
		{"the files of a batch go with it", batchFilesGo},
	}
}

// fileOf returns a file of a batch at the given time, or what kept it from being found.
func (f *batchFixture) fileOf(b batches.Batch, id uuid.UUID, at time.Time) (files.File, error) {
	return f.inputs.files.File(f.t.Context(), b.Tenant, id, at)
}

// hasFiles fails the test unless the files of the batch are there at the given time.
func (f *batchFixture) hasFiles(b batches.Batch, at, created, expires time.Time) {
	f.t.Helper()
	for id, kind := range map[uuid.UUID]string{b.Output: "output", b.Errors: "error"} {
		got, err := f.fileOf(b, id, at)
		f.must(err, "read a file of a batch")
		f.same(got, files.File{
			ID: id, Tenant: b.Tenant, Purpose: files.PurposeBatchOutput, Name: fmt.Sprintf("batch_%x_%s.jsonl", b.ID[:], kind),
			Status: files.StatusUploaded, Batch: b.ID, CreatedAt: created, ExpiresAt: expires,
		}, "file")
	}
}

func (f *batchFixture) hasNoFiles(b batches.Batch, at time.Time) {
	f.t.Helper()
	for _, id := range []uuid.UUID{b.Output, b.Errors} {
		_, err := f.fileOf(b, id, at)
		f.mustBe(err, files.ErrNotFound, "read a file of a batch")
	}
}

func batchHasFiles(f *batchFixture) {
	b, other := f.batch(), f.batch(func(b *batches.Batch) { b.Tenant = "other" })
	f.hasFiles(b, f.now, f.now, time.Time{})
	f.hasFiles(other, f.now, f.now, time.Time{})
	again := f.newBatch()
	f.repeat(f.newBatch(), "k", "body")
	_, replayed := f.repeat(again, "k", "body")
	equal(f.fixture, replayed, true, "replayed")
	f.hasNoFiles(again, f.now)
}

func batchNeedsInput(f *batchFixture) {
	theirs := f.inputs.upload("a", ownedBy("other"))
	begun := f.inputs.begin()
	gone := f.inputs.upload("a")
	f.must(f.inputs.files.DeleteFile(f.t.Context(), tenant, gone.ID), "delete a file")
	expired := f.inputs.upload("a", expiring(f.now))
	output := f.batch().Output
	for name, id := range map[string]uuid.UUID{
		"none": newID(f.t), "another's": theirs.ID, "one that is being uploaded": begun.ID, "one that is gone": gone.ID,
		"one that has expired": expired.ID, "one for other use": output, "nil": uuid.Nil,
	} {
		b := f.newBatch()
		b.Input = id
		_, _, err := f.batches.CreateBatch(f.t.Context(), b, repeatOf("k", "body"))
		if e, ok := errors.AsType[*jobs.Error](err); !ok || e.Pointer != batches.ErrNoInput.Pointer {
			f.t.Fatalf("input is %s: got %v, want %v", name, err, batches.ErrNoInput)
		}
		_, err = f.batches.Batch(f.t.Context(), tenant, b.ID)
		f.mustBe(err, jobs.ErrNotFound, "read what was not made")
		f.hasNoFiles(b, f.now)
	}
	b := f.newBatch()
	b.Input = f.inputs.upload("a", expiring(f.at(time.Microsecond))).ID
	_, replayed := f.repeat(b, "k", "other body")
	equal(f.fixture, replayed, false, "replayed")
}

func withTTL(d time.Duration) batchEdit { return func(b *batches.Batch) { b.OutputTTL = d } }

func batchFilesExpire(f *batchFixture) {
	kept, short := f.cancelled(1), f.cancelled(1, withTTL(time.Hour)) // an hour after now
	f.hasFiles(kept, f.at(1000*day), f.now, time.Time{})
	f.hasFiles(short, f.at(2*time.Hour-time.Microsecond), f.now, f.at(2*time.Hour))
	f.hasNoFiles(short, f.at(2*time.Hour))
	rejected := f.batch(withTTL(time.Hour))
	f.holds()
	f.must(f.batches.RejectBatch(f.t.Context(), f.holder, rejected.ID, nil, 1, f.now, nil), "reject")
	f.hasNoFiles(rejected, f.at(time.Hour))
}

func batchFilesAreRestored(f *batchFixture) {
	a, b := f.cancelled(1, withTTL(time.Hour)), f.cancelled(1, withTTL(time.Minute))
	f.must(f.inputs.files.DeleteFile(f.t.Context(), tenant, b.Output), "delete a file")
	_, _, err := f.inputs.files.SweepFiles(f.t.Context(), files.Sweep{Now: f.at(time.Hour + time.Minute), Abandoned: f.at(-day), Limit: 10})
	f.must(err, "sweep")
	f.hasNoFiles(b, f.now)
	f.retry(a)
	f.retry(b)
	f.hasFiles(a, f.at(1000*day), f.now, time.Time{})
	f.hasFiles(b, f.at(1000*day), f.at(time.Hour), time.Time{})
	f.holds()
	f.endLines(b, batches.LineExpired, batches.CodeBatchExpired, 1)
	f.endBatch(b, batches.StatusExpired)
	f.hasFiles(b, f.now, f.at(time.Hour), f.at(time.Hour+time.Minute))
}

func batchFilesGo(f *batchFixture) {
	b, old := f.cancelled(1), f.cancelled(1, batchMadeAt(f.at(-2*day)))
	f.must(f.batches.DeleteBatch(f.t.Context(), tenant, b.ID), "delete a batch")
	f.hasNoFiles(b, f.now)
	f.retain(jobs.Retention{Default: day})
	f.hasNoFiles(old, f.now)
	_, err := f.fileOf(b, b.Input, f.now)
	f.must(err, "read the input of what is gone")
}
