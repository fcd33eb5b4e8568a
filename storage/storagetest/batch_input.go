package storagetest

import (
	"errors"
	"time"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
)

func batchInputRules() []batchRule {
	return []batchRule{
		{"the input is not deleted before the batch has ended", inputNotDeleted},
		{"files of a batch are not swept before it has ended", inputNotSwept},
		{"a sweep goes past what batches need", inputsDoNotBlock},
		{"a batch is made or its input deleted, not both", inputDeletedMeanwhile},
		{"a batch is made or its input swept, not both", inputSweptMeanwhile},
	}
}

// reading keeps a batch with the given input.
func (f *batchFixture) reading(input files.File) batches.Batch {
	f.t.Helper()
	b := f.newBatch()
	b.Input = input.ID
	return f.create(b)
}

// end ends a batch that has no lines.
func (f *batchFixture) end(b batches.Batch) {
	f.t.Helper()
	f.cancelBatch(b)
	f.holds()
	f.endBatch(b, batches.StatusCancelled)
}

func inputNotDeleted(f *batchFixture) {
	ctx := f.t.Context()
	input := f.inputs.upload("lines")
	first, second := f.reading(input), f.reading(input)
	for _, b := range []batches.Batch{first, second} {
		f.mustBe(f.inputs.files.DeleteFile(ctx, tenant, input.ID), files.ErrInUse, "delete an input")
		f.mustBe(f.inputs.files.DeleteFile(ctx, "other", input.ID), files.ErrNotFound, "delete another's input")
		f.inputs.is(input)
		f.end(b)
	}
	f.must(f.inputs.files.DeleteFile(ctx, tenant, input.ID), "delete the input of what has ended")
	f.inputs.hasNot(input)
}

func inputNotSwept(f *batchFixture) {
	old := f.inputs.upload("a", f.inputs.begun(f.at(-60*day)))
	short := f.inputs.upload("b", expiring(f.at(time.Minute)))
	all := []batches.Batch{f.reading(old), f.reading(short)}
	later := func(w *files.Sweep) {
		w.Now, w.Retention = f.at(40*day), jobs.Retention{Default: 30 * day, Tenants: map[string]time.Duration{tenant: 30 * day}}
	}
	f.inputs.sweep(later)
	f.inputs.has(old, 0, "a")
	f.inputs.has(short, 0, "b")
	for _, b := range all {
		f.hasFiles(b, f.now, f.now, time.Time{})
		f.end(b)
	}
	f.inputs.sweep(later)
	f.inputs.hasNot(old)
	f.inputs.hasNot(short)
	for _, b := range all {
		f.hasNoFiles(b, f.now)
	}
}

func inputsDoNotBlock(f *batchFixture) {
	for range 3 {
		f.reading(f.inputs.upload("a", expiring(f.at(time.Minute))))
	}
	free := f.inputs.upload("b", expiring(f.at(time.Hour)))
	_, _, err := f.inputs.files.SweepFiles(f.t.Context(), files.Sweep{Now: f.at(2 * time.Hour), Limit: 1})
	f.must(err, "sweep files")
	f.inputs.hasNot(free)
}

func inputDeletedMeanwhile(f *batchFixture) {
	f.inputRaces(f.at(time.Hour), func(input files.File) {
		f.check(f.inputs.files.DeleteFile(f.t.Context(), tenant, input.ID), "delete an input", files.ErrInUse)
	})
}

func inputSweptMeanwhile(f *batchFixture) {
	f.inputRaces(f.at(time.Microsecond), func(files.File) {
		_, _, err := f.inputs.files.SweepFiles(f.t.Context(), files.Sweep{Now: f.at(time.Microsecond), Limit: 10})
		f.check(err, "sweep files")
	})
}

// inputRaces makes batches while their inputs, which expire then, are removed.
func (f *batchFixture) inputRaces(expires time.Time, remove func(input files.File)) {
	f.t.Helper()
	for range rounds {
		b := f.newBatch()
		input := f.inputs.upload("a", expiring(expires))
		b.Input = input.ID
		var made error
		atOnce(func() { remove(input) }, func() { _, _, made = f.batches.CreateBatch(f.t.Context(), b, batches.Repeat{}) })
		f.check(made, "create a batch", batches.ErrNoInput)
		_, err := f.inputs.files.File(f.t.Context(), tenant, input.ID, f.now)
		if made == nil && err != nil || made != nil && !errors.Is(err, files.ErrNotFound) {
			f.t.Fatalf("create: got %v; the input: %v", made, err)
		}
	}
}
