package sealed_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
)

// batch keeps a batch of one line each of the jobs, which have ended.
func (r *rig) batch(list ...jobs.Job) uuid.UUID {
	r.t.Helper()
	ctx, id := r.t.Context(), func() uuid.UUID { return uuid.Must(uuid.NewV7()) }
	input := files.File{ID: id(), Tenant: acme, Purpose: files.PurposeBatch, Status: files.StatusUploaded, CreatedAt: now()}
	r.must(r.below.CreateFile(ctx, input))
	b := batches.Batch{
		ID: id(), Tenant: acme, Input: input.ID, Output: id(), Errors: id(), CreatedAt: now(), Deadline: now().Add(time.Hour),
	}
	_, _, err := r.below.CreateBatch(ctx, b, batches.Repeat{})
	r.must(err)
	_, err = r.below.LeaseBatches(ctx, r.worker, 1)
	r.must(err)
	var lines []batches.Line
	var started []batches.Started
	for i, j := range list {
		lines = append(lines, batches.Line{N: i + 1})
		started = append(started, batches.Started{N: i + 1, Job: j.ID})
	}
	r.must(r.below.AppendLines(ctx, r.worker, b.ID, batches.Cursor{}, batches.Cursor{Lines: len(list)}, lines))
	_, err = r.below.BeginBatch(ctx, r.worker, b.ID, now())
	r.must(err)
	r.must(r.below.StartLines(ctx, r.worker, b.ID, started))
	_, _, err = r.below.CollectLines(ctx, r.worker, b.ID, 0, len(list))
	r.must(err)
	return b.ID
}

func (r *rig) answers(batch uuid.UUID) ([]batches.Answer, error) {
	return r.store.Batches(r.below).Answers(r.t.Context(), batches.AnswerQuery{Tenant: acme, Batch: batch, Limit: 9})
}

// Answers and messages of failures are opened; below they are not to be read.
func TestAnswersOfABatchAreOpened(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	good, bad := r.succeed(acme, "a"), r.fail("b")
	batch := r.batch(good, bad)
	got, err := r.answers(batch)
	r.must(err)
	if len(got) != 2 || string(got[0].Result) != result || got[1].Message != bad.Error.Message {
		t.Errorf("got %+v, want the answer, and %q", got, bad.Error.Message)
	}
	below, err := r.below.Answers(t.Context(), batches.AnswerQuery{Tenant: acme, Batch: batch, Limit: 9})
	r.must(err)
	if s := fmt.Sprintf("%s %+v", below[0].Result, below); strings.Contains(s, "secret") {
		t.Errorf("in plain below: %s", s)
	}
}

// What was erased of a batch is told as gone, and nothing fails for it.
func TestErasedAnswersOfABatchAreGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	batch := r.batch(r.succeed(acme, "a"), r.fail("b"))
	r.erase(acme)
	got, err := r.process(1).answers(batch)
	r.must(err)
	if a := got[0]; !a.Dropped || a.Code != jobs.CodeErased || a.Message == "" || a.Result != nil {
		t.Errorf("erased: got %+v", a)
	}
	if a := got[1]; a.Dropped || a.Code != "truncated" || strings.Contains(a.Message, "secret") || a.Message == "" {
		t.Errorf("erased failure: got %+v", a)
	}
}

// A process without the secret says that it cannot tell.
func TestAnswersOfABatchNeedTheSecret(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	lacking := r.process(2)
	batch := r.batch(r.succeed(acme, "a"))
	if _, err := lacking.answers(batch); !errors.Is(err, &jobs.Error{Code: jobs.CodeStoreUnavailable}) {
		t.Errorf("got %v, want %s", err, jobs.CodeStoreUnavailable)
	}
}
