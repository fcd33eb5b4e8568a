package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/client"
	"github.com/penstock-dev/penstock/internal/memnet"
)

// A submission whose answer is lost is repeated, and is there once.
func TestALostAnswerSubmitsNothingTwice(t *testing.T) {
	t.Parallel()
	var posted atomic.Int32
	at := between(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPost && posted.Add(1) <= 2 {
			lost(r, next)
		}
		next.ServeHTTP(w, r)
	})
	c, ctx := newClient(t, at), bounded(t)
	job, err := c.Submit(ctx, client.NewJob{Request: chat("default", "once"), NoDedupe: true})
	if err != nil {
		t.Fatal(err)
	}
	var all []uuid.UUID
	for job, err := range c.List(ctx, client.JobFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, job.ID)
	}
	if posted.Load() != 3 || !slices.Equal(all, []uuid.UUID{job.ID}) {
		t.Errorf("posted %d times, there are %v, want %s alone", posted.Load(), all, job.ID)
	}
}

// With a key of the caller's own, a submission by another call is the same job, or refused
// if it says something else.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	c, ctx := newClient(t, ""), bounded(t)
	n := client.NewJob{Request: chat("default", "key"), NoDedupe: true, IdempotencyKey: "order-1842"}
	first, err := c.Submit(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Submit(ctx, n); err != nil || again.ID != first.ID {
		t.Errorf("again: %v, %v", again.ID, err)
	}
	n.Sample = 2
	if _, err := c.Submit(ctx, n); codeOf(err) != client.CodeIdempotencyMismatch {
		t.Errorf("with another sample: %v", err)
	}
}

// asked is when a request came, and its key.
type asked struct {
	at  time.Duration
	key string
}

// scripted answers the nth request, from 0 on, and remembers when it came.
type scripted struct {
	t      *testing.T
	client *client.Client
	start  time.Time
	answer func(n int, w http.ResponseWriter, r *http.Request)

	mu   sync.Mutex
	seen []asked
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	s.mu.Lock()
	n := len(s.seen)
	s.seen = append(s.seen, asked{time.Since(s.start), r.Header.Get("Idempotency-Key")})
	s.mu.Unlock()
	s.answer(n, w, r)
}

func (s *scripted) times() []asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// bubble runs do with a client of a server that answers so, in virtual time.
func bubble(
	t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request), do func(s *scripted), options ...client.Option,
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{t: t, start: time.Now(), answer: answer}
		l := memnet.Listen()
		server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve(l)
		}()
		transport := &http.Transport{DialContext: l.DialContext}
		var err error
		s.client, err = client.New("http://penstock", append(options, client.WithHTTPClient(&http.Client{Transport: transport}))...)
		if err != nil {
			t.Fatal(err)
		}
		do(s)
		transport.CloseIdleConnections()
		_ = server.Close()
		<-served
	})
}

func refuse(w http.ResponseWriter, status int, code, retryAfter string) {
	if retryAfter != "" {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"code":"`+code+`","detail":"why"}`)
}

const anID = "0199f1a2-7c3e-7d4b-9a51-3f0c8e6b2d17"

func taken(w http.ResponseWriter, status string) {
	_, _ = io.WriteString(w, `{"id":"`+anID+`","status":"`+status+`"}`)
}

// What is refused for now is asked for again, no sooner than was said, under the same key.
func TestRefusedForNow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status            int
		retryAfter        string
		earliest, latest  time.Duration
		ownKey, wantedKey string
	}{
		"429":               {429, "3", 3 * time.Second, 4 * time.Second, "", ""},
		"503":               {503, "90", 90 * time.Second, 91 * time.Second, "", ""},
		"503 without hint":  {503, "", 100 * time.Millisecond, time.Second, "", ""},
		"502 of a gateway":  {502, "", 100 * time.Millisecond, time.Second, "mine", "mine"},
		"a date":            {503, "Sat, 01 Jan 2000 00:00:07 GMT", 6 * time.Second, 8 * time.Second, "", ""},
		"a date that is by": {503, "Fri, 31 Dec 1999 00:00:00 GMT", 0, time.Second, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(n int, w http.ResponseWriter, _ *http.Request) {
				if n == 0 {
					refuse(w, c.status, "rate_limited", c.retryAfter)
					return
				}
				taken(w, "queued")
			}, func(s *scripted) {
				job, err := s.client.Submit(s.t.Context(), client.NewJob{Request: chat("default", "a"), IdempotencyKey: c.ownKey})
				if err != nil || job.ID.String() != anID {
					s.t.Fatalf("%v, %v", job, err)
				}
				seen := s.times()
				if len(seen) != 2 || seen[1].at < c.earliest || seen[1].at > c.latest {
					s.t.Errorf("asked at %v, want the second between %s and %s", seen, c.earliest, c.latest)
				}
				if seen[0].key == "" || seen[0].key != seen[1].key || c.wantedKey != "" && seen[0].key != c.wantedKey {
					s.t.Errorf("keys %v", seen)
				}
			})
		})
	}
}

// Repetitions end, and what was answered last is the error.
func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options []client.Option
		after   string
		want    int
	}{
		"by themselves":    {nil, "", 6},
		"as was said":      {[]client.Option{client.WithRetries(2)}, "", 3},
		"never":            {[]client.Option{client.WithRetries(0)}, "", 1},
		"too long a delay": {nil, "600", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(_ int, w http.ResponseWriter, _ *http.Request) { refuse(w, 503, "store_unavailable", c.after) },
				func(s *scripted) {
					_, err := s.client.Get(s.t.Context(), uuid.MustParse(anID))
					e, ok := errors.AsType[*client.Error](err)
					if !ok || e.Code != client.CodeStoreUnavailable || len(s.times()) != c.want {
						s.t.Errorf("asked %d times, want %d: %v", len(s.times()), c.want, err)
					}
					if c.after != "" && e.RetryAfter != 10*time.Minute {
						s.t.Errorf("it says to wait %s", e.RetryAfter)
					}
				}, c.options...)
		})
	}
}

func TestAContextEndsRepetitions(t *testing.T) {
	t.Parallel()
	bubble(t, func(_ int, w http.ResponseWriter, _ *http.Request) { refuse(w, 503, "store_unavailable", "30") },
		func(s *scripted) {
			ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
			defer cancel()
			_, err := s.client.Get(ctx, uuid.MustParse(anID))
			if !errors.Is(err, context.DeadlineExceeded) || codeOf(err) != client.CodeStoreUnavailable || len(s.times()) != 1 {
				s.t.Errorf("asked %d times: %v", len(s.times()), err)
			}
		})
}

// A retry has no key: it is repeated only if it was surely not done.
func TestWhatHasNoKeyIsNotRepeated(t *testing.T) {
	t.Parallel()
	cut := func(http.ResponseWriter) { panic(http.ErrAbortHandler) }
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter)
		want   int
	}{
		"429":  {func(w http.ResponseWriter) { refuse(w, 429, "rate_limited", "1") }, 6},
		"503":  {func(w http.ResponseWriter) { refuse(w, 503, "store_unavailable", "1") }, 1},
		"lost": {cut, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(_ int, w http.ResponseWriter, _ *http.Request) { c.answer(w) },
				func(s *scripted) {
					_, err := s.client.Retry(s.t.Context(), uuid.MustParse(anID))
					if err == nil || len(s.times()) != c.want {
						s.t.Errorf("asked %d times, want %d: %v", len(s.times()), c.want, err)
					}
				})
		})
	}
}

// Something in between that answers in its own words is an *Error, too.
func TestAGatewaysWords(t *testing.T) {
	t.Parallel()
	bubble(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", "r1")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "<html>"+strings.Repeat("no ", 100_000))
	}, func(s *scripted) {
		_, err := s.client.Get(s.t.Context(), uuid.MustParse(anID))
		if e, ok := errors.AsType[*client.Error](err); !ok || err.Error() != "penstock: 401: Unauthorized" || e.RequestID != "r1" {
			s.t.Errorf("got %v", err)
		}
	})
}

// Wait asks until the job has ended. If it is answered at once all the same, it asks once a
// second.
func TestWaitIsPaced(t *testing.T) {
	t.Parallel()
	bubble(t, func(n int, w http.ResponseWriter, r *http.Request) {
		switch {
		case n == 4:
			taken(w, "expired")
		case n%2 == 0:
			time.Sleep(55 * time.Second)
			fallthrough
		default:
			taken(w, "running")
		}
		if got := r.URL.Query().Get("wait"); got != "55s" {
			t.Errorf("wait=%s", got)
		}
	}, func(s *scripted) {
		job, err := s.client.Wait(s.t.Context(), uuid.MustParse(anID))
		if err != nil || job.Status != client.StatusExpired {
			s.t.Fatalf("%v, %v", job, err)
		}
		var at []time.Duration
		for _, a := range s.times() {
			at = append(at, a.at)
		}
		if want := []time.Duration{0, 55 * time.Second, 56 * time.Second, 111 * time.Second, 112 * time.Second}; !slices.Equal(at, want) {
			s.t.Errorf("asked at %v, want %v", at, want)
		}
	})
}
