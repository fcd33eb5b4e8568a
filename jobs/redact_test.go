package jobs_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// redactor is a [jobs.Redactor] made of a function.
type redactor func(jobs.Sent) (jobs.Sent, error)

func (r redactor) Redact(_ context.Context, s jobs.Sent) (jobs.Sent, error) { return r(s) }

// hide replaces the word secret in all that was sent.
func hide(s jobs.Sent) (jobs.Sent, error) {
	s.Request = json.RawMessage(strings.ReplaceAll(string(s.Request), "secret", "[gone]"))
	s.User = strings.ReplaceAll(s.User, "secret", "[gone]")
	metadata := map[string]string{}
	for k, v := range s.Metadata {
		metadata[k] = strings.ReplaceAll(v, "secret", "[gone]")
	}
	s.Metadata = metadata
	return s, nil
}

const private = `{"model":"default","messages":[{"role":"user","content":"a secret"}]}`

func privateJob() jobs.NewJob {
	n := newJob(private)
	n.User, n.Metadata = "secret user", map[string]string{"who": "secret"}
	n.IdempotencyKey, n.Fingerprint = "key", sha256.Sum256([]byte(private))
	return n
}

// keeping is a store that remembers what it was given to keep.
type keeping struct {
	jobs.Store

	kept []jobs.Submission
}

func (s *keeping) Submit(ctx context.Context, sub jobs.Submission) (jobs.Submitted, error) {
	s.kept = append(s.kept, sub)
	return s.Store.Submit(ctx, sub)
}

func redacting(t *testing.T, r redactor) (*jobs.Service, *keeping) {
	t.Helper()
	store := &keeping{}
	s := newServiceOn(t, func(below jobs.Store) jobs.Store {
		store.Store = below
		return store
	}, jobs.WithRedactor(r), jobs.WithWebhooks(func(_ context.Context, _, url string) (jobs.Webhook, error) {
		return jobs.Webhook{URL: url, Endpoint: uuid.New()}, nil
	}))
	return s, store
}

// What is kept, hashed and fingerprinted is what the redactor left.
func TestRedactedBeforeAnythingIsKept(t *testing.T) {
	t.Parallel()
	s, store := redacting(t, hide)
	job := mustSubmit(t, s, privateJob())
	kept := store.kept[0]
	all := fmt.Sprintf("%+v %s", kept, kept.Request.Body)
	if strings.Contains(all, "secret") || !strings.Contains(all, "a [gone]") {
		t.Errorf("kept %s", all)
	}
	if job.User != "[gone] user" || job.Metadata["who"] != "[gone]" {
		t.Errorf("job: got %+v", job)
	}
	hash, err := jobs.RequestHash("acme", kept.Request)
	if err != nil || job.RequestHash != hash {
		t.Errorf("hash: got %s, %v, want %s: that of what is kept", job.RequestHash, err, hash)
	}
	if kept.Idempotency.Fingerprint == privateJob().Fingerprint || kept.Idempotency.Fingerprint == [32]byte{} {
		t.Error("the fingerprint is that of what was sent")
	}
}

// A submission is replayed under its key, also when it would be refused by now;
// another one under the same key is refused.
func TestARedactedSubmissionIsReplayed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := redacting(t, hide)
		n := privateJob()
		n.Deadline = time.Now().Add(time.Hour)
		first := mustSubmit(t, s, n)
		n.Request = json.RawMessage(strings.ReplaceAll(private, ":", " : ")) // the same JSON
		time.Sleep(2 * time.Hour)
		again, err := s.Submit(t.Context(), n)
		if err != nil || !again.Replayed || again.Job.ID != first.ID {
			t.Errorf("again: got %+v, %v, want job %s", again, err, first.ID)
		}
		n.Request = json.RawMessage(strings.ReplaceAll(private, "a secret", "another secret"))
		n.Deadline = time.Now().Add(time.Hour)
		if _, err := s.Submit(t.Context(), n); !errors.Is(err, jobs.ErrIdempotencyMismatch) {
			t.Errorf("another request: got %v, want %v", err, jobs.ErrIdempotencyMismatch)
		}
	})
}

// Every field of a submission is in its fingerprint but those that name it.
func TestAFingerprintIsOfAllFields(t *testing.T) {
	t.Parallel()
	s, store := redacting(t, func(s jobs.Sent) (jobs.Sent, error) { return s, nil })
	changes := map[string]any{
		"Tenant": "other", "Endpoint": "/v1/chat/completions", "Request": json.RawMessage(hello),
		"Priority": jobs.PriorityHigh, "Deadline": time.Now().Add(time.Hour), "Timeout": time.Minute,
		"Metadata": map[string]string{"a": "b"}, "User": "u", "Sample": 3,
		"OnUnavailable": new(jobs.OnUnavailableFail), "UseCase": jobs.DefaultUseCase,
		"Webhook": "https://hooks.example.com/", "Batch": uuid.New(),
	}
	prints := map[[32]byte]string{}
	fingerprint := func(name string, change func(reflect.Value)) [32]byte {
		n := privateJob()
		n.IdempotencyKey = uuid.NewString()
		change(reflect.ValueOf(&n).Elem().FieldByName(name))
		mustSubmit(t, s, n)
		return store.kept[len(store.kept)-1].Idempotency.Fingerprint
	}
	same := fingerprint("User", func(reflect.Value) {})
	for f := range reflect.TypeFor[jobs.NewJob]().Fields() {
		got := fingerprint(f.Name, func(v reflect.Value) {
			switch change, ok := changes[f.Name]; {
			case ok:
				v.Set(reflect.ValueOf(change))
			case v.Kind() == reflect.Bool:
				v.SetBool(true)
			case v.CanInt():
				v.SetInt(int64(time.Minute))
			}
		})
		if f.Name == "IdempotencyKey" || f.Name == "Fingerprint" {
			if got != same {
				t.Errorf("%s is in the fingerprint", f.Name)
			}
			continue
		}
		if got == same || prints[got] != "" {
			t.Errorf("%s is not in the fingerprint, or as %q", f.Name, prints[got])
		}
		prints[got] = f.Name
	}
}

// When a redactor fails, or returns what cannot be used, nothing is kept and the
// caller is told to come back.
func TestAFailedRedactionKeepsNothing(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]redactor{
		"an error": func(s jobs.Sent) (jobs.Sent, error) { return s, errors.New("connection refused") },
		"nothing":  func(jobs.Sent) (jobs.Sent, error) { return jobs.Sent{}, nil },
		"not JSON": func(s jobs.Sent) (jobs.Sent, error) {
			s.Request = json.RawMessage(`{"model":"default",`)
			return s, nil
		},
		"another model": func(s jobs.Sent) (jobs.Sent, error) {
			s.Request = json.RawMessage(strings.Replace(private, "default", "sim/sim-1", 1))
			return s, nil
		},
		"no model": func(s jobs.Sent) (jobs.Sent, error) {
			s.Request = json.RawMessage(`{"messages":[{}]}`)
			return s, nil
		},
	} {
		s, store := redacting(t, r)
		_, err := s.Submit(t.Context(), privateJob())
		e, ok := errors.AsType[*jobs.Error](err)
		if !ok || e.Code != jobs.CodeRedactionUnavailable || e.Err == nil {
			t.Errorf("%s: got %v, want code %s and a cause", name, err, jobs.CodeRedactionUnavailable)
		}
		if strings.Contains(err.Error(), "secret") || strings.Contains(e.Message, e.Err.Error()) {
			t.Errorf("%s: the error tells too much: %v", name, err)
		}
		list, err := store.Jobs(t.Context(), jobs.JobQuery{Tenant: "acme", Limit: 1})
		if len(store.kept) != 0 || len(list) != 0 || err != nil {
			t.Errorf("%s: kept %+v, %+v (%v)", name, store.kept, list, err)
		}
	}
}

// What is refused anyway is refused as it is without a redactor, which is not
// shown what is no request.
func TestAnInvalidSubmissionIsRefusedFirst(t *testing.T) {
	t.Parallel()
	s, store := redacting(t, func(jobs.Sent) (jobs.Sent, error) {
		t.Error("the redactor was asked")
		return jobs.Sent{}, errors.New("down")
	})
	for _, body := range []string{`{"model":"default","messages":[{}],"model":"x"}`, `[]`, `{`} {
		_, err := s.Submit(t.Context(), newJob(body))
		if e, ok := errors.AsType[*jobs.Error](err); !ok || e.Code != jobs.CodeInvalidField {
			t.Errorf("%s: got %v, want invalid_field", body, err)
		}
	}
	if len(store.kept) != 0 {
		t.Errorf("kept %+v", store.kept)
	}
}

// A request that is retried is redacted again: the rules may be newer than it is.
func TestARetryIsRedactedAgain(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s, store := redacting(t, func(s jobs.Sent) (jobs.Sent, error) {
		asked.Add(1)
		s.User += "."
		return s, nil
	})
	n := newJob(hello)
	n.User = "u"
	job := mustSubmit(t, s, n)
	if _, err := s.Cancel(t.Context(), "acme", job.ID); err != nil {
		t.Fatal(err)
	}
	again, err := s.Retry(t.Context(), "acme", job.ID)
	if err != nil || again.Job.User != "u.." || asked.Load() != 2 || len(store.kept) != 2 {
		t.Errorf("retry: got user %q after %d questions (%v), want it redacted again", again.Job.User, asked.Load(), err)
	}
}

// What refreshes a stale answer asks for the same as the job that it served: it
// is not redacted twice.
func TestARefreshIsNotRedactedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, store := redacting(t, func(s jobs.Sent) (jobs.Sent, error) {
			s.Request = json.RawMessage(strings.Replace(string(s.Request), "hi", "hi hi", 1))
			return s, nil
		})
		n := newJob(hello)
		n.MaxAge, n.StaleWhileRevalidate = time.Minute, time.Hour
		first := mustSubmit(t, s, n)
		answer(t, store)
		time.Sleep(10 * time.Minute)
		if j := mustSubmit(t, s, n); !j.Cached {
			t.Fatalf("got %+v, want a stale answer", j)
		}
		if refresh := store.kept[len(store.kept)-1].Job; len(store.kept) != 3 || refresh.RequestHash != first.RequestHash {
			t.Errorf("%d jobs, the last asks for %s, want %s", len(store.kept), refresh.RequestHash, first.RequestHash)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
