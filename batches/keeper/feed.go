package keeper

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/canonical"
)

const (
	// feedAtOnce and feedBytes bound the lines that are made jobs between two looks at
	// whether the batch was changed; one line may be longer.
	feedAtOnce = 128
	feedBytes  = 4 << 20
	// hungry is which part of the window is empty before more is fed: few lines at a time
	// would read the same chunk of the input again and again.
	hungry = 10
)

// feed makes pending lines jobs until the window is full, there are no more or the batch
// is changed.
func (t *turn) feed(ctx context.Context) error {
	window := t.batch.Policy.Concurrency
	if window == 0 || window > batches.Window {
		window = batches.Window
	}
	room := window - t.batch.Counts.Live
	if t.batch.Counts.Pending == 0 || room < max(1, window/hungry) {
		return nil
	}
	defer func() {
		if !t.keeps {
			t.closeInput()
		}
	}()
	for fed := false; room > 0 && !t.changed.Load() && time.Now().Before(t.batch.Deadline); fed = true {
		n, err := t.feedSome(ctx, min(room, feedAtOnce))
		switch {
		case t.changed.Load(): // that may be what it failed for
			return nil
		case n == 0 && !fed, errors.Is(err, batches.ErrNotHeld):
			return err
		case err != nil:
			t.k.report(ctx, fmt.Errorf("batch %s: %w", t.id, err))
		}
		if n == 0 {
			return nil
		}
		room -= n
	}
	return nil
}

// feedSome makes up to limit lines jobs, and returns how many it took on, also if it failed
// for others.
func (t *turn) feedSome(ctx context.Context, limit int) (int, error) {
	if in, err := t.enter(ctx, t.k.feeds); err != nil || !in {
		return 0, err
	}
	defer t.k.feeds.leave()
	lines, err := t.k.cfg.Store.PendingLines(ctx, t.id, limit)
	if err != nil {
		return 0, fmt.Errorf("list pending lines: %w", err)
	}
	lines = fitting(lines)
	if len(lines) == 0 {
		return 0, nil
	}
	if err := t.openInput(ctx); err != nil {
		if e := t.unreadable(err); e != nil {
			return t.refuse(ctx, map[string][]int{batches.CodeInputUnreadable: numbers(lines)})
		}
		return 0, err
	}
	made := t.submitAll(ctx, lines)
	if err := t.start(ctx, made.started); err != nil {
		return 0, err
	}
	refused, err := t.refuse(ctx, made.refused)
	if err != nil {
		return len(made.started), err
	}
	return len(made.started) + refused, made.err
}

// fitting returns as many of the first lines as may be in memory together.
func fitting(lines []batches.Line) []batches.Line {
	bytes := 0
	for i, l := range lines {
		if bytes += l.Length; bytes > feedBytes && i > 0 {
			return lines[:i]
		}
	}
	return lines
}

func numbers(lines []batches.Line) []int {
	ns := make([]int, len(lines))
	for i, l := range lines {
		ns[i] = l.N
	}
	return ns
}

// start notes the jobs of lines. If the batch was told to end meanwhile it notes none:
// then those who end the batch find the jobs.
func (t *turn) start(ctx context.Context, started []batches.Started) error {
	if len(started) == 0 {
		return nil
	}
	err := t.k.cfg.Store.StartLines(ctx, t.k.cfg.Holder, t.id, started)
	switch {
	case errors.Is(err, batches.ErrStatus):
		t.change()
		return nil
	case errors.Is(err, batches.ErrNotHeld):
		t.withdrawStray(ctx, started)
	}
	if err != nil {
		return fmt.Errorf("start lines: %w", err)
	}
	return nil
}

// withdrawStray cancels jobs that were made when the batch was another's already, if that
// one will not find them: else it makes them its own.
func (t *turn) withdrawStray(ctx context.Context, started []batches.Started) {
	b, err := t.k.cfg.Store.Batch(ctx, t.batch.Tenant, t.id)
	if err != nil || b.Status == batches.StatusInProgress {
		return
	}
	ids := make([]uuid.UUID, len(started))
	for i, s := range started {
		ids[i] = s.Job
	}
	t.k.report(ctx, t.cancelJobs(ctx, ids))
}

// refuse ends lines that cannot be jobs, which are given by code. It returns how many they
// were.
func (t *turn) refuse(ctx context.Context, refused map[string][]int) (n int, err error) {
	for _, code := range slices.Sorted(maps.Keys(refused)) {
		only := refused[code]
		if _, err := t.k.cfg.Store.EndLines(ctx, t.k.cfg.Holder, t.id, batches.LineFailed, code, only, len(only)); err != nil {
			return n, fmt.Errorf("end lines that were refused: %w", err)
		}
		n += len(only)
	}
	return n, nil
}

// made is what became of an attempt to make lines jobs.
type made struct {
	mu      sync.Mutex
	started []batches.Started
	// refused are lines by the code of why they can never be jobs.
	refused map[string][]int
	// err is what kept others from it for now.
	err error
}

// submitAll makes lines jobs, many at once: that is one transaction of the store.
func (t *turn) submitAll(ctx context.Context, lines []batches.Line) *made {
	m := &made{refused: make(map[string][]int)}
	var busy sync.WaitGroup
	for _, l := range lines {
		if t.k.calls.enter(ctx) != nil {
			break
		}
		busy.Go(func() {
			defer t.k.calls.leave()
			err := t.guarded(ctx, func(ctx context.Context) error { return t.submit(ctx, l, m) })
			m.failed(err)
		})
	}
	busy.Wait()
	return m
}

func (m *made) failed(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.err = err
	}
}

// submit makes a line a job, or notes that it can never be one.
func (t *turn) submit(ctx context.Context, l batches.Line, m *made) error {
	body, err := t.body(l)
	if err == nil && !t.holds() {
		return batches.ErrNotHeld
	}
	var done jobs.Submitted
	if err == nil {
		done, err = t.k.cfg.Jobs.Submit(ctx, t.job(l, body))
	}
	code, final := t.final(err)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case final:
		m.refused[code] = append(m.refused[code], l.N)
	case err != nil:
		return fmt.Errorf("submit line %d: %w", l.N, err)
	default:
		m.started = append(m.started, batches.Started{N: l.N, Job: done.Job.ID})
		if done.Job.Status.Terminal() { // nobody tells of its end any more
			poke(t.wake)
		} else {
			t.k.live.add(done.Job.ID, t)
		}
	}
	return nil
}

// final reports whether a line can never be a job, and its code then.
func (t *turn) final(err error) (code string, final bool) {
	if e := t.unreadable(err); e != nil {
		return batches.CodeInputUnreadable, true
	}
	e, ok := errors.AsType[*jobs.Error](err)
	if !ok || errors.As(err, new(*inputError)) {
		return "", false
	}
	switch {
	case e.Code == jobs.CodeStoreUnavailable, e.Code == jobs.CodeRedactionUnavailable, e.Pointer == "/deadline":
		return "", false
	default:
		return string(e.Code), true
	}
}

// job returns what a line asks for. Whoever submits the line in this attempt again asks
// for the same job.
func (t *turn) job(l batches.Line, body json.RawMessage) jobs.NewJob {
	n := t.batch.Job(body)
	n.Deadline, n.Batch = t.batch.Deadline, t.batch.ID
	// No caller's key has a space.
	n.IdempotencyKey = fmt.Sprintf("penstock batch %s %d %d %d", t.id, l.N, l.Round, l.Attempt)
	n.Fingerprint = sha256.Sum256([]byte(n.IdempotencyKey))
	if l.Repeat && !n.NoDedupe { // what a line before it was answered will do
		n.MaxAge = max(n.MaxAge, time.Since(t.batch.CreatedAt))
	}
	return n
}

// body reads the body of a line.
func (t *turn) body(l batches.Line) (json.RawMessage, error) {
	text := make([]byte, l.Length)
	in := t.input.Load()
	n, err := in.ReadAt(text, l.Offset)
	switch {
	case n == l.Length:
	case in.ended.Load(): // says nothing of the input
		return nil, fmt.Errorf("reading was interrupted: %w", err)
	default:
		return nil, &inputError{err}
	}
	all, err := canonical.Members(text)
	if err != nil {
		return nil, &inputError{&jobs.Error{Code: batches.CodeInputUnreadable, Message: "the line is not what it was", Err: err}}
	}
	for _, m := range all {
		if m.Key == "body" {
			return m.Raw, nil
		}
	}
	return nil, &inputError{&jobs.Error{Code: batches.CodeInputUnreadable, Message: "the line has no body any more"}}
}
