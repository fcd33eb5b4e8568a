package keeper_test

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// bubble runs a test in virtual time, on a stage.
func bubble(t *testing.T, places int, test func(s *stage)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		test(newStage(t, places))
	})
}

func TestABatchRuns(t *testing.T) {
	bubble(t, 20, func(s *stage) {
		t := s.t
		s.endpoint()
		s.keep()
		b := s.create(lines(200, "m"))
		mid := s.until(b, "half done", func(b batches.Batch) bool { return b.Counts.Ended() >= 100 })
		if eta := mid.ETA(time.Now()); mid.Rate < 10 || mid.Rate > 30 || time.Until(eta) < 2*time.Second || time.Until(eta) > 20*time.Second {
			t.Errorf("half done: the rate is %v a second and the end in %v, want about 20 and 5 s", mid.Rate, time.Until(eta))
		}
		if some := s.answers(mid); len(some) < 100 {
			t.Errorf("half done: there are %d answers, want at least 100", len(some))
		}
		b = s.ended(b)
		want := batches.Counts{Total: 200, Succeeded: 200}
		if b.Status != batches.StatusCompleted || b.Counts != want || b.Usage.InputTokens != 600 || b.Usage.OutputTokens != 400 {
			t.Errorf("got %s, %+v and %+v", b.Status, b.Counts, b.Usage)
		}
		for name, at := range map[string]time.Time{"begun": b.StartedAt, "finalizing": b.FinalizingAt, "ended": b.EndedAt} {
			if at.IsZero() {
				t.Errorf("it does not say when it was %s", name)
			}
		}
		for id, a := range s.answers(b) {
			if want := fmt.Sprintf(`{"says":"p%s"}`, id[1:]); string(a.Result) != want {
				t.Errorf("the answer of %s is %s, want %s", id, a.Result, want)
			}
		}
		if by, all := s.called(); all != 200 || len(by) != 200 {
			t.Errorf("%d calls for %d prompts, want one each of 200", all, len(by))
		}
		s.toldOnce(b, delivery.BatchCompleted, `"request_counts":{"total":200,"completed":200,"failed":0}`)
		time.Sleep(time.Second)
		if s.told[batches.LineSucceeded] != 200 || len(s.over) != 1 {
			t.Errorf("observers were told of %v and of %d batches", s.told, len(s.over))
		}
	})
}

// endpoint has all events sent somewhere, of which deliveries are made.
func (s *stage) endpoint() {
	s.t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	id := uuid.Must(uuid.NewV7())
	s.must(s.store.CreateEndpoint(s.t.Context(), delivery.Endpoint{
		ID: id, Tenant: "acme", URL: "http://a.example.com", Version: 1, CreatedAt: now, ChangedAt: now,
	}, delivery.Secret{ID: uuid.Must(uuid.NewV7()), Tenant: "acme", Owner: id, Key: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", CreatedAt: now}))
}

// toldOnce fails unless one event was told of the batch, and none of its jobs.
func (s *stage) toldOnce(b batches.Batch, eventType, with string) {
	s.t.Helper()
	endpoints, err := s.store.Endpoints(s.t.Context(), "acme", uuid.Nil, 10)
	s.must(err)
	due, err := s.store.Due(s.t.Context(), endpoints[0].ID, time.Now().UTC(), 100)
	s.must(err)
	if len(due) != 1 || due[0].Type != eventType {
		s.t.Fatalf("told of %d events, the first %+v; want one, %s", len(due), due, eventType)
	}
	var said struct {
		ID     string `json:"id"`
		Object string `json:"object"`
	}
	if err := json.Unmarshal(due[0].Data, &said); err != nil || said.ID != "batch_"+strings.ReplaceAll(b.ID.String(), "-", "") ||
		said.Object != "batch" || !strings.Contains(string(due[0].Data), with) {
		s.t.Errorf("the event tells %s (%v), want %s", due[0].Data, err, with)
	}
}

func TestABatchWithABadLineFailsAndRunsNothing(t *testing.T) {
	bubble(t, 5, func(s *stage) {
		t := s.t
		s.endpoint()
		s.keep()
		all := lines(50, "m")
		all[7], all[30] = all[6], `{"custom_id":`
		b := s.ended(s.create(all))
		if b.Status != batches.StatusFailed || b.ProblemCount != 2 || len(b.Problems) != 2 || b.Counts != (batches.Counts{}) {
			t.Fatalf("got %s, %d problems and %+v", b.Status, b.ProblemCount, b.Counts)
		}
		if p, q := b.Problems[0], b.Problems[1]; p.Line != 8 || p.Code != batches.CodeDuplicateCustomID || q.Line != 31 || q.Code != batches.CodeInvalidJSONLine {
			t.Errorf("got the problems %+v", b.Problems)
		}
		if _, all := s.called(); all != 0 || len(s.answers(b)) != 0 {
			t.Errorf("%d calls were made", all)
		}
		s.toldOnce(b, delivery.BatchFailed, `"request_counts":{"total":0,`)
	})
}

// one returns a number below n that a prompt's try has.
func one(prompt string, try, n int) int {
	h := fnv.New32a()
	fmt.Fprint(h, prompt, " ", try)
	return int(h.Sum32() % uint32(n))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// nothingBegan fails if a call began in that time.
func (s *stage) nothingBegan(from, to time.Time) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.begun {
		if at.After(from) && at.Before(to) {
			s.t.Fatalf("a call began %v after the time from which none may", at.Sub(from))
		}
	}
}

// A batch that is cancelled before its lines were read has those that were.
func TestCancelWhileReading(t *testing.T) {
	bubble(t, 10, func(s *stage) {
		t := s.t
		b := s.create(lines(20, "m"))
		_, err := s.batches.Cancel(t.Context(), "acme", b.ID)
		s.must(err)
		s.keep()
		if b = s.ended(b); b.Status != batches.StatusCancelled || b.Counts != (batches.Counts{}) {
			t.Fatalf("got %s with %+v", b.Status, b.Counts)
		}
	})
}

// Equal requests of a batch are asked once, whether the first is under way or has ended
// when the next comes; not if the batch would not have it so.
func TestEqualRequestsRunOnce(t *testing.T) {
	bubble(t, 5, func(s *stage) {
		t := s.t
		s.keep()
		var all []string
		for i := range 120 {
			all = append(all, line(fmt.Sprint("c", i), "m", fmt.Sprint("p", i%30)))
		}
		b := s.ended(s.create(all, func(n *batches.New) { n.Policy.Concurrency = 8 }))
		if _, n := s.called(); n != 30 || b.Counts.Succeeded != 120 || b.Counts.Deduplicated != 90 {
			t.Errorf("%d calls, and %+v", n, b.Counts)
		}
		s.answers(b)
		s.ended(s.create(all, func(n *batches.New) { n.Policy.NoDedupe = true }))
		if _, n := s.called(); n != 150 {
			t.Errorf("%d calls, want another 120", n)
		}
		// What another batch was answered is not what this one asks for.
		s.ended(s.create(all[:10]))
		if _, n := s.called(); n != 160 {
			t.Errorf("%d calls, want another 10", n)
		}
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	bubble(t, 50, func(s *stage) {
		t := s.t
		s.keep()
		b := s.create(lines(100, "m"), func(n *batches.New) { n.Policy.Concurrency = 7 })
		for !s.look(b).Status.Terminal() {
			if live := s.look(b).Counts.Live; live > 7 {
				t.Fatalf("%d lines are live, want 7 at most", live)
			}
			time.Sleep(500 * time.Millisecond)
		}
		if s.most != 7 {
			t.Errorf("%d calls at once, want 7", s.most)
		}
	})
}

// A lost signal costs no more than a look.
func TestWithoutSignals(t *testing.T) {
	bubble(t, 20, func(s *stage) {
		t := s.t
		s.queue.Lose()
		b := s.create(lines(40, "m"))
		k := s.keepDeaf()
		begun := time.Now()
		if b = s.ended(b); b.Counts.Succeeded != 40 || time.Since(begun) > 10*time.Second {
			t.Errorf("got %+v after %v", b.Counts, time.Since(begun))
		}
		k.stop()
	})
}

// Batches that are larger, or that cannot be worked on, do not hold up others.
func TestABatchDoesNotHoldUpOthers(t *testing.T) {
	bubble(t, 40, func(s *stage) {
		t := s.t
		s.keep()
		for i := range 10 {
			big := make([]string, 150)
			for n := range big {
				big[n] = line(fmt.Sprint("c", n), "m", fmt.Sprint("big ", i, " ", n))
			}
			s.create(big, func(n *batches.New) { n.Policy.Priority = jobs.PriorityLow })
		}
		time.Sleep(time.Second)
		begun := time.Now()
		if b := s.ended(s.create(lines(5, "m"))); b.Counts.Succeeded != 5 || time.Since(begun) > 5*time.Second {
			t.Errorf("got %+v after %v", b.Counts, time.Since(begun))
		}
	})
}

// Tenants have batches of their own, and the API is told so.
func TestOthersBatches(t *testing.T) {
	bubble(t, 5, func(s *stage) {
		t := s.t
		b := s.create(lines(1, "m"))
		ctx := context.Background()
		_, err := s.batches.Batch(ctx, "other", b.ID)
		for name, err := range map[string]error{
			"get": err, "cancel": last(s.batches.Cancel(ctx, "other", b.ID)), "pause": last(s.batches.Pause(ctx, "other", b.ID)),
			"delete": s.batches.Delete(ctx, "other", b.ID),
		} {
			if err == nil || !strings.Contains(err.Error(), "no such batch") {
				t.Errorf("%s: got %v, want that there is no such batch", name, err)
			}
		}
		if s.look(b).Status != batches.StatusValidating {
			t.Errorf("it is %s", s.look(b).Status)
		}
	})
}

func last(_ batches.Batch, err error) error { return err }
