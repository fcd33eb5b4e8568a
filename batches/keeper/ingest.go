package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/batches/ingest"
	"github.com/penstock-dev/penstock/jobs"
)

// ingest reads the input on from where it was read to, keeps its lines, and begins the
// batch or, if anything is wrong with a line, rejects it. It stops early if the batch is
// cancelled.
func (t *turn) ingest(ctx context.Context) error {
	if in, err := t.enter(ctx, t.k.ingests); err != nil || !in {
		return err
	}
	defer t.k.ingests.leave()
	err := t.read(ctx)
	if e := t.unreadable(err); e != nil {
		return t.reject(ctx, []batches.Problem{{Code: batches.CodeInputUnreadable, Message: e.Message}}, 1)
	}
	return err
}

// unreadable returns why the input can never be read, if err says so: as it is with one
// that is gone, or with one that cannot be read to the last.
func (t *turn) unreadable(err error) *jobs.Error {
	failed, ok := errors.AsType[*inputError](err)
	if !ok {
		return nil
	}
	e, ok := errors.AsType[*jobs.Error](failed.err)
	if ok && e.Code != jobs.CodeStoreUnavailable {
		return e
	}
	if time.Now().Before(t.batch.Deadline) {
		return nil
	}
	return &jobs.Error{Code: batches.CodeInputUnreadable, Message: "the input could not be read in time"}
}

// inputError is an error of reading the input.
type inputError struct{ err error }

func (e *inputError) Error() string { return "read the input: " + e.err.Error() }
func (e *inputError) Unwrap() error { return e.err }

func (t *turn) read(ctx context.Context) error {
	input, size, err := t.k.cfg.Open(ctx, t.batch)
	if err != nil {
		return &inputError{err}
	}
	if size > batches.MaxBytes {
		return t.reject(ctx, []batches.Problem{{
			Code: batches.CodeFileTooLarge, Message: fmt.Sprintf("the input of a batch has at most %d bytes", batches.MaxBytes),
		}}, 1)
	}
	from := t.batch.Read.Bytes
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	in := ingest.New(ingest.Config{
		Batch: t.batch, Input: io.NewSectionReader(input, from, size-from), Check: t.k.cfg.Jobs.Check,
		Enter:    func() (func(), error) { return t.k.pages.leave, t.k.pages.enter(reading) },
		Panicked: func(value any, stack []byte) { t.k.cfg.Observer.panicked(t.id, value, stack) },
	})
	if err := t.keptBefore(ctx, in); err != nil {
		return err
	}
	stopped, err := t.keep(reading, cancel, in)
	if err != nil {
		return err
	}
	if stopped {
		t.change() // there is more to do
		return nil
	}
	if problems, count := in.Problems(); count > 0 {
		return t.reject(ctx, problems, count)
	}
	b, err := t.k.cfg.Store.BeginBatch(ctx, t.k.cfg.Holder, t.id, now())
	if err != nil {
		return fmt.Errorf("begin the batch: %w", err)
	}
	t.note(b)
	t.change() // there is more to do
	return nil
}

// keptBefore makes known what whoever read the input before has kept of it.
func (t *turn) keptBefore(ctx context.Context, in *ingest.Ingest) error {
	for after := 0; after < t.batch.Read.Lines; {
		page, err := t.k.cfg.Store.Lines(ctx, t.id, after, readAtOnce)
		if err != nil {
			return fmt.Errorf("list lines: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		in.Keep(page)
		after = page[len(page)-1].N
	}
	return nil
}

// page is a page, or why there is none.
type page struct {
	ingest.Page

	err error
}

// keep keeps page after page, and checks the next one meanwhile. It reports whether it
// stopped for a change. cancel is that of ctx.
func (t *turn) keep(ctx context.Context, cancel func(), in *ingest.Ingest) (stopped bool, err error) {
	pages, over := make(chan page), make(chan struct{})
	go func() {
		defer close(over)
		t.pages(ctx, in, pages)
	}()
	defer func() { cancel(); <-over }()
	for {
		p := <-pages
		switch {
		case errors.Is(p.err, io.EOF):
			return false, nil
		case p.err != nil:
			return false, p.err
		}
		if stopped, err := t.isStopped(ctx); err != nil || stopped {
			return stopped, err
		}
		if len(p.Lines) == 0 { // something is wrong: nothing more is kept
			continue
		}
		if err := t.k.cfg.Store.AppendLines(ctx, t.k.cfg.Holder, t.id, p.From, p.To, p.Lines); err != nil {
			return false, fmt.Errorf("keep lines: %w", err)
		}
		t.k.cfg.Observer.read(len(p.Lines))
	}
}

// isStopped reports whether the batch was changed so that its input need not be read.
func (t *turn) isStopped(ctx context.Context) (bool, error) {
	if !t.changed.Swap(false) {
		return false, nil
	}
	err := t.collect(ctx)
	return t.batch.Status != batches.StatusValidating, err
}

// pages sends pages until there are no more, the error for that as the last, or ctx ends.
func (t *turn) pages(ctx context.Context, in *ingest.Ingest, to chan<- page) {
	for {
		var p page
		err := t.guarded(ctx, func(context.Context) error {
			p.Page, p.err = in.Next()
			return nil
		})
		if err != nil {
			p.err = err
		} else if p.err != nil && !errors.Is(p.err, io.EOF) {
			p.err = &inputError{p.err}
		}
		select {
		case to <- p:
		case <-ctx.Done():
			return
		}
		if p.err != nil {
			return
		}
	}
}

// reject ends the batch for what is wrong with its input.
func (t *turn) reject(ctx context.Context, problems []batches.Problem, count int) error {
	at := now()
	b := t.batch
	b.Status, b.EndedAt, b.Problems, b.ProblemCount, b.Counts = batches.StatusFailed, at, problems, count, batches.Counts{}
	e, err := event(b)
	if err != nil {
		return err
	}
	if err := t.k.cfg.Store.RejectBatch(ctx, t.k.cfg.Holder, t.id, problems, count, at, e); err != nil {
		return fmt.Errorf("reject the batch: %w", err)
	}
	t.hasEnded(b)
	return nil
}
