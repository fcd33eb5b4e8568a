package sealed_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/storage/sealed"
	"github.com/penstock-dev/penstock/storage/sealed/sealedtest"
)

// Nothing of a request, an answer, a partial answer or an error's message can be
// read below the sealed store; above it all is as it was.
func TestPayloadsAreSealedBelow(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	good, bad := r.succeed(acme, "a"), r.fail("b")
	r.reads(good)
	if bad.Error == nil || bad.Error.Message != "it ended after: "+half || r.partial(bad) != half {
		t.Errorf("failed job: got %+v and partial %q", bad.Error, r.partial(bad))
	}
	list, err := r.store.Jobs(t.Context(), jobs.JobQuery{Tenant: acme, Limit: 9})
	if err != nil || len(list) != 2 || list[0].Error == nil || *list[0].Error != *bad.Error {
		t.Errorf("list: got %+v, %v", list, err)
	}

	below := fmt.Sprint(allOf(t, r.below, good), allOf(t, r.below, bad))
	if strings.Contains(below, "secret") {
		t.Errorf("in plain below: %q", below)
	}
	above := fmt.Sprint(allOf(t, r.store, good), allOf(t, r.store, bad))
	if strings.Count(above, "secret") != 5 {
		t.Errorf("above: %d payloads, want 5: %s", strings.Count(above, "secret"), above)
	}
}

// What arrived of an answer is sealed also when the execution goes on.
func TestAPartialAnswerOfATryIsSealed(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	j := r.submit(acme, "a")
	w := r.claim()
	r.must(r.store.Reschedule(t.Context(), jobs.Rescheduling{
		Task: w.Task, Call: callOf(w), RunAt: now(), WaitingOn: jobs.WaitingOnRetry, Tries: 1,
	}))
	if got := r.partial(j); got != half {
		t.Errorf("above: got %q, want %q", got, half)
	}
	if below := fmt.Sprint(allOf(t, r.below, j)); strings.Contains(below, "secret") {
		t.Errorf("in plain below: %q", below)
	}
}

// allOf returns all payloads of a job as a store tells them.
func allOf(t *testing.T, s jobs.Store, j jobs.Job) []string {
	t.Helper()
	job, err1 := s.Job(t.Context(), j.Tenant, j.ID)
	request, err2 := s.Request(t.Context(), j.Tenant, j.ID)
	calls, err3 := s.Calls(t.Context(), j.Tenant, j.ID)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	all := []string{string(job.Result), string(request.Body), calls[0].Partial}
	if job.Error != nil {
		all = append(all, job.Error.Message)
	}
	return all
}

// Without a secret all is kept in plain, and what was kept so can be read when
// there is one.
func TestPlainFromBeforeASecretIsRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	old, failed, live := r.succeed(acme, "a"), r.fail("f"), r.submit(acme, "b")
	if got := fmt.Sprint(allOf(t, r.below, old)); !strings.Contains(got, "secret") {
		t.Errorf("without a secret it is kept as %s", got)
	}
	r = r.process(1)
	r.reads(old)
	if got := r.job(failed); got.Error.Message != "it ended after: "+half || r.partial(failed) != half {
		t.Errorf("failed job: got %+v, %q", got.Error, r.partial(failed))
	}
	w := r.claim()
	if string(w.Body) != request || w.Refused != nil || w.Withheld != "" {
		t.Fatalf("work: got %+v", w)
	}
	r.finish(success(w))
	r.reads(live)
}

// An answer is copied to another job of its tenant and opens there; another
// tenant with the same request gets its own.
func TestACopiedAnswerOpens(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	first := r.succeed(acme, "a")
	again := submission(acme, "a")
	again.MaxAge = time.Hour
	copied := r.keep(again).Job
	if !copied.Cached || string(copied.Result) != result {
		t.Fatalf("submitted again: got cached %t, %s", copied.Cached, copied.Result)
	}
	r.reads(copied)
	if err := r.store.Delete(t.Context(), acme, first.ID); err != nil {
		t.Fatal(err)
	}
	r.reads(copied)

	other := submission("other", "a")
	other.Job.RequestHash, other.MaxAge = again.Job.RequestHash, time.Hour
	if got := r.keep(other).Job; got.Cached || got.ExecutionID == copied.ExecutionID {
		t.Errorf("another tenant's job shares the execution: %+v", got)
	}
}

// Secrets are changed in three steps, and at each of them everything can be
// read. After the second the old secret opens nothing any more.
func TestRotation(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	old, live := r.succeed(acme, "a"), r.submit("other", "b")

	r = r.process(1, 2) // every process learns the new one
	r.reads(old)
	r = r.process(2, 1)
	r.reads(old)
	r.must(r.store.Maintain(t.Context(), now()))
	keks, err := r.below.KEKs(t.Context())
	if second := sealedtest.Config(t, 2).Secrets[0].ID(); err != nil || !slices.Equal(keks, []string{second}) {
		t.Fatalf("keys are under %v, %v, want %s", keks, err, second)
	}
	r = r.process(2)
	r.reads(old)
	w := r.claim()
	if string(w.Body) != request {
		t.Fatalf("work: got %+v", w)
	}
	r.finish(success(w))
	r.reads(live)

	_, err = sealed.New(t.Context(), r.below, sealedtest.Config(t, 1))
	if !errors.Is(err, sealed.ErrSecretMissing) {
		t.Errorf("with the old secret alone: got %v, want ErrSecretMissing", err)
	}
}

// A key gives way to a new one when it is old; what it sealed stays readable.
func TestAKeyIsReplacedWhenOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		old := r.succeed(acme, "a")
		first, err := r.below.ActiveKey(t.Context(), acme)
		r.must(err)
		time.Sleep(89 * 24 * time.Hour)
		r.succeed(acme, "b")
		if k, err := r.below.ActiveKey(t.Context(), acme); err != nil || k.ID != first.ID {
			t.Errorf("after 89 days: got key %s, %v, want %s", k.ID, err, first.ID)
		}
		time.Sleep(24 * time.Hour)
		young := r.succeed(acme, "c")
		if k, err := r.below.ActiveKey(t.Context(), acme); err != nil || k.ID == first.ID {
			t.Errorf("after 90 days: got key %s, %v, want a new one", k.ID, err)
		}
		r.reads(old)
		r.reads(young)
	})
}

func TestAMissingSecretIsSaidAtTheStart(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	r.succeed(acme, "a")
	for _, secrets := range [][]byte{nil, {2}, {2, 3}} {
		_, err := sealed.New(t.Context(), r.below, sealedtest.Config(t, secrets...))
		missing := sealedtest.Config(t, 1).Secrets[0].ID()
		if !errors.Is(err, sealed.ErrSecretMissing) || !strings.Contains(err.Error(), missing) {
			t.Errorf("secrets %v: got %v, want ErrSecretMissing with the name %s", secrets, err, missing)
		}
	}
	if _, err := sealed.New(t.Context(), r.below, sealed.Config{KeyAge: -1}); err == nil {
		t.Error("a negative KeyAge was taken")
	}
}

// A process that lacks a secret, because it was started before there was data
// under it, ends nothing and loses nothing: it is as if its store were away.
func TestWhatAProcessHasNoSecretForWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	lacking := r.process(2) // nothing is sealed yet
	old, live := r.succeed(acme, "a"), r.submit(acme, "b")
	away := &jobs.Error{Code: jobs.CodeStoreUnavailable}

	if _, err := lacking.store.Job(t.Context(), acme, old.ID); !errors.Is(err, away) {
		t.Errorf("job: got %v, want %v", err, away.Code)
	}
	if _, err := lacking.request(old); !errors.Is(err, away) {
		t.Errorf("request: got %v, want %v", err, away.Code)
	}
	if _, err := lacking.store.Submit(t.Context(), submission(acme, "c")); !errors.Is(err, away) {
		t.Errorf("submit: got %v, want %v", err, away.Code)
	}
	w := lacking.claim()
	if w.Withheld == "" || w.Refused != nil || len(w.Body) != 0 {
		t.Fatalf("work: got %+v, want it withheld", w)
	}
	if missing := sealedtest.Config(t, 1).Secrets[0].ID(); !strings.Contains(w.Withheld, missing) {
		t.Errorf("withheld because %q, want the secret's name %s", w.Withheld, missing)
	}
	if _, err := lacking.store.Finish(t.Context(), success(w)); !errors.Is(err, away) {
		t.Errorf("finish: got %v, want %v: an answer in hand is kept for later", err, away.Code)
	}
	c := callOf(w)
	c.Partial = ""
	lacking.must(lacking.store.Reschedule(t.Context(), jobs.Rescheduling{
		Task: w.Task, Call: c, RunAt: now(), WaitingOn: jobs.WaitingOnCapacity,
	}))
	r.finish(success(r.claim()))
	r.reads(live)
	if failed := lacking.store.Maintain(t.Context(), now()); failed == nil {
		t.Error("Maintain says nothing of a key that it cannot rewrap")
	}
}

// A failure is recorded even when its words cannot be sealed: they are left out.
func TestAFailureThatCannotBeSealedIsRecorded(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	lacking := r.process(2)
	j := r.submit(acme, "a")
	lacking.finish(failure(r.claim()))
	got := r.job(j)
	if got.Status != jobs.StatusFailed || got.Error.Code != string(providers.Truncated) || got.Error.Message == "" {
		t.Errorf("got %s, %+v", got.Status, got.Error)
	}
	if s := fmt.Sprint(allOf(t, r.below, j)); strings.Contains(s, "secret ans") {
		t.Errorf("kept in plain: %s", s)
	}
}

// A job that fails and is given a stale answer opens that one, and tells its own
// request and calls.
func TestAStaleAnswerOpens(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	first := r.succeed(acme, "a")
	s := submission(acme, "a")
	s.StaleIfError = time.Hour
	second := r.keep(s).Job
	r.finish(failure(r.claim()))
	if got := r.job(second); got.AnswerOf != first.ExecutionID || got.ExecutionID == first.ExecutionID {
		t.Fatalf("got %+v, want the answer of execution %s", got, first.ExecutionID)
	}
	r.reads(second)
	if got := r.partial(second); got != half {
		t.Errorf("partial: got %q, want that of its own call", got)
	}
}
