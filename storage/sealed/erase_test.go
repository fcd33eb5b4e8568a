package sealed_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/sealed"
)

// erase erases a tenant as another process would.
func (r *rig) erase(tenant string) (ended []uuid.UUID) {
	r.t.Helper()
	erased, err := sealed.Erase(r.t.Context(), r.below, tenant)
	r.must(err)
	return erased.Ended
}

// isErased fails the test unless the job's payloads are told as erased.
func (r *rig) isErased(j jobs.Job, status jobs.Status) {
	r.t.Helper()
	got := r.job(j)
	if got.Status != status || got.Result != nil || got.Error == nil || got.Error.Code != jobs.CodeErased ||
		!strings.Contains(got.Error.Message, "erased") {
		r.t.Errorf("job: got %s, %s, %+v, want %s and code erased", got.Status, got.Result, got.Error, status)
	}
	if body, err := r.request(j); !errors.Is(err, &jobs.Error{Code: jobs.CodeErased}) {
		r.t.Errorf("request: got %q, %v, want code erased", body, err)
	}
}

// All that was sealed for a tenant is gone for a process that did not know of
// the erasure, half a minute later at most, and for one that starts, at once. What
// lived has ended. Other tenants go on, and so does this one, under a new key.
func TestErasure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		good, bad, others := r.succeed(acme, "a"), r.fail("b"), r.succeed("other", "a")
		live := r.submit(acme, "c")
		w := r.claim()
		queued := r.submit(acme, "d")
		othersLive := r.submit("other", "b")
		r.reads(good)

		ended := r.erase(acme)
		if len(ended) != 2 {
			t.Errorf("ended %v, want %v and %v", ended, live.ID, queued.ID)
		}
		fresh := r.process(1)
		fresh.isErased(good, jobs.StatusSucceeded)
		time.Sleep(30 * time.Second)

		r.isErased(good, jobs.StatusSucceeded)
		r.isErased(live, jobs.StatusFailed)
		r.isErased(queued, jobs.StatusFailed)
		if got := r.job(bad); got.Error == nil || strings.Contains(got.Error.Message, "secret") || r.partial(bad) != "" {
			t.Errorf("failed job: got %+v and partial %q", got.Error, r.partial(bad))
		}
		if list, err := r.store.Jobs(t.Context(), jobs.JobQuery{Tenant: acme, Limit: 9}); err != nil || len(list) != 4 {
			t.Errorf("list: got %d jobs, %v, want 4", len(list), err)
		}
		if _, err := r.store.Finish(t.Context(), success(w)); !errors.Is(err, jobs.ErrStale) {
			t.Errorf("the answer of a run that was erased: got %v, want ErrStale", err)
		}
		r.reads(others)
		r.finish(success(r.claim()))
		r.reads(othersLive)

		again := submission(acme, "a")
		again.MaxAge = time.Hour
		anew := r.keep(again).Job
		if anew.Cached || anew.Deduplicated {
			t.Errorf("submitted again: got cached %t, deduplicated %t, want it run anew", anew.Cached, anew.Deduplicated)
		}
		r.finish(success(r.claim()))
		r.reads(anew)
		fresh.reads(anew)
		r.isErased(good, jobs.StatusSucceeded)
	})
}

// A request that was sealed with a key erased at that moment is handed out as
// refused, and ends.
func TestWhatIsSubmittedDuringAnErasureEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		r.succeed(acme, "a")
		r.erase(acme)
		j := r.submit(acme, "b") // this process does not know yet
		time.Sleep(30 * time.Second)
		w := r.claim()
		if w.Refused == nil || w.Refused.Code != jobs.CodeErased || len(w.Body) != 0 {
			t.Fatalf("work: got %+v, want it refused", w)
		}
		c := callOf(w)
		c.Partial = ""
		r.finish(jobs.Outcome{Task: w.Task, Call: c, Status: jobs.StatusFailed, Error: w.Refused, At: now()})
		r.isErased(j, jobs.StatusFailed)
	})
}

func TestNothingIsErasedOfAStranger(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	j := r.succeed(acme, "a")
	erased, err := sealed.Erase(t.Context(), r.below, "acm")
	if err != nil || erased.Keys != 0 || erased.Executions != 0 || erased.Ended != nil {
		t.Errorf("got %+v, %v, want nothing", erased, err)
	}
	r.process(1).reads(j)
}

func TestAnErasureThatFailsSaysSo(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sealed.Erase(ctx, r.below, acme); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
