package sealed_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/sealed"
	"github.com/penstock-dev/penstock/storage/sealed/sealedtest"
	"github.com/penstock-dev/penstock/storage/sqlite"
)

// tampered is a store in which somebody changed what lies there.
type tampered struct {
	*sqlite.Store

	job     func(*jobs.Job)
	request func(*jobs.Request)
	calls   func([]jobs.Call)
	work    func(*jobs.Work)
}

func (s tampered) Job(ctx context.Context, tenant string, id uuid.UUID) (jobs.Job, error) {
	j, err := s.Store.Job(ctx, tenant, id)
	if s.job != nil {
		s.job(&j)
	}
	return j, err
}

func (s tampered) Request(ctx context.Context, tenant string, id uuid.UUID) (jobs.Request, error) {
	r, err := s.Store.Request(ctx, tenant, id)
	if s.request != nil {
		s.request(&r)
	}
	return r, err
}

func (s tampered) Calls(ctx context.Context, tenant string, id uuid.UUID) ([]jobs.Call, error) {
	c, err := s.Store.Calls(ctx, tenant, id)
	if s.calls != nil {
		s.calls(c)
	}
	return c, err
}

func (s tampered) Claim(ctx context.Context, c jobs.Claim) (jobs.Work, error) {
	w, err := s.Store.Claim(ctx, c)
	if s.work != nil {
		s.work(&w)
	}
	return w, err
}

func flipped(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 1
	return b
}

// What was changed, or moved from another row, purpose or tenant, is told as
// unreadable: it is never shown and never sent to a provider.
func TestTamperedDataIsNotShown(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	mine, mine2, others := r.succeed(acme, "a"), r.succeed(acme, "b"), r.succeed("other", "a")
	below := func(j jobs.Job) jobs.Job {
		got, err := r.below.Job(t.Context(), j.Tenant, j.ID)
		r.must(err)
		return got
	}
	asked := func(j jobs.Job) []byte {
		got, err := r.below.Request(t.Context(), j.Tenant, j.ID)
		r.must(err)
		return got.Body
	}
	for name, result := range map[string][]byte{
		"changed":                flipped(below(mine).Result),
		"of another job":         below(mine2).Result,
		"of another tenant":      below(others).Result,
		"a request as an answer": asked(mine),
		"under an unknown key":   append([]byte{1, 2}, below(mine).Result[2:]...),
	} {
		s := r.on(tampered{Store: r.below, job: func(j *jobs.Job) { j.Result = result }}, sealedtest.Config(t, 1))
		got := s.job(mine)
		if got.Result != nil || got.Error == nil || got.Error.Code != jobs.CodeUnreadable {
			t.Errorf("answer %s: got %s, %+v, want code unreadable", name, got.Result, got.Error)
		}
	}
	for name, body := range map[string][]byte{
		"changed":                flipped(asked(mine)),
		"of another job":         asked(mine2),
		"of another tenant":      asked(others),
		"an answer as a request": below(mine).Result,
	} {
		s := r.on(tampered{Store: r.below, request: func(q *jobs.Request) { q.Body = body }}, sealedtest.Config(t, 1))
		if got, err := s.request(mine); !errors.Is(err, &jobs.Error{Code: jobs.CodeUnreadable}) {
			t.Errorf("request %s: got %q, %v, want code unreadable", name, got, err)
		}
	}
}

func TestTamperedWorkIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	r.submit(acme, "a")
	s := r.on(tampered{Store: r.below, work: func(w *jobs.Work) { w.Body = flipped(w.Body) }}, sealedtest.Config(t, 1))
	w := s.claim()
	if w.Refused == nil || w.Refused.Code != jobs.CodeUnreadable || len(w.Body) != 0 {
		t.Errorf("work: got %+v, want it refused as unreadable", w)
	}
}

// Texts that were moved are left out; all else is told.
func TestTamperedTextsAreLeftOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	mine, other := r.fail("a"), r.fail("b")
	foreign, err := r.below.Job(t.Context(), acme, other.ID)
	r.must(err)
	calls, err := r.below.Calls(t.Context(), acme, other.ID)
	r.must(err)
	s := r.on(tampered{
		Store: r.below,
		job:   func(j *jobs.Job) { j.Error = foreign.Error },
		calls: func(c []jobs.Call) { c[0].Partial = calls[0].Partial },
	}, sealedtest.Config(t, 1))
	got := s.job(mine)
	if got.Status != jobs.StatusFailed || got.Error.Code != mine.Error.Code ||
		got.Error.Message == mine.Error.Message || bytes.Contains([]byte(got.Error.Message), []byte("secret")) {
		t.Errorf("job: got %+v", got.Error)
	}
	if p := s.partial(mine); p != "" {
		t.Errorf("partial answer: got %q, want none", p)
	}
}

// A key that was put into another tenant's row opens nothing.
func TestAStolenKeyOpensNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	j := r.succeed(acme, "a")
	k, err := r.below.ActiveKey(t.Context(), acme)
	r.must(err)
	k.Wrapped = flipped(k.Wrapped)
	done, err := r.below.RewrapKey(t.Context(), k, k.KEK)
	if err != nil || !done {
		t.Fatal(done, err)
	}
	s := r.process(1)
	if got := s.job(j); got.Error == nil || got.Error.Code != jobs.CodeUnreadable {
		t.Errorf("job: got %+v, want code unreadable", got.Error)
	}
	if _, err := s.store.Submit(t.Context(), submission(acme, "b")); err == nil {
		t.Error("a request was sealed with a key that does not open")
	}
	moved := sealedtest.Config(t, 2, 1)
	if err := r.on(r.below, moved).store.Maintain(t.Context(), now()); err == nil {
		t.Error("Maintain says nothing of a key that it cannot rewrap")
	}
}

var _ sealed.Backing = tampered{}
