package providertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// fixture is what a rule of the suite works with.
type fixture struct {
	t    *testing.T
	wire Wire
	open Open
}

func (f fixture) answer(answer Answer) {
	provider := f.open(f.t, answer.Reply)
	var told told
	got, err := provider.Call(f.t.Context(), f.wire.Request, func(chunk providers.Chunk) { told.add(f.t, chunk) })
	if err != nil {
		f.t.Fatalf("got error %v, detail %q", err, detailOf(err))
	}
	if told.chunks != answer.Chunks {
		f.t.Errorf("onChunk was told of %d pieces, want %d", told.chunks, answer.Chunks)
	}
	told.compare(f.t, f.wire.Request.Endpoint, got.Body)
	if !sameJSON(f.t, got.Body, answer.Body) {
		f.t.Errorf("body\ngot  %s\nwant %s", got.Body, answer.Body)
	}
	if got.TimeToFirstToken <= 0 {
		f.t.Errorf("time to first token is %s", got.TimeToFirstToken)
	}
	want := answer.Want
	want.Body, want.TimeToFirstToken = got.Body, got.TimeToFirstToken
	if want.Model == "" {
		want.Model = got.Model
	}
	if !reflect.DeepEqual(got, want) {
		f.t.Errorf("response\ngot  %+v\nwant %+v", got, want)
	}
}

func (f fixture) failure(failure Failure) {
	provider := f.open(f.t, failure.Reply)
	timeouts := providers.Timeouts{Total: 24 * time.Hour}
	got := mustFail(f.t, provider, withTimeouts(f.wire.Request, timeouts))
	said, want := *got, failure.Want
	said.Err, want.Err = nil, nil
	want.Message, want.Detail, want.TimeToFirstToken = said.Message, said.Detail, said.TimeToFirstToken
	if said != want {
		f.t.Errorf("error\ngot  %+v\nwant %+v", said, want)
	}
	if len(got.Detail) > 2<<10 {
		f.t.Errorf("detail has %d bytes", len(got.Detail))
	}
	if got.Message == "" {
		f.t.Error("the error has no message")
	}
}

// slowLimit is a bound that the slow answer passes, or not.
type slowLimit struct {
	name     string
	timeouts providers.Timeouts
	want     providers.Class
	after    time.Duration
}

func slowLimits(wire Wire) []slowLimit {
	first, next := wire.SlowFirst, wire.SlowNext
	return []slowLimit{
		{"first token", providers.Timeouts{FirstToken: first - 1}, providers.TimeoutFirstToken, first - 1},
		{"stall", providers.Timeouts{FirstToken: first + 1, Stall: next - 1}, providers.TimeoutStall, first + next - 1},
		{"total before the first token", providers.Timeouts{Total: first - 1}, providers.TimeoutTotal, first - 1},
		{"total after it", providers.Timeouts{Total: first + next - 1}, providers.TimeoutTotal, first + next - 1},
	}
}

func (f fixture) timeout(limit slowLimit) {
	provider := f.open(f.t, f.wire.Slow)
	began := time.Now()
	got := mustFail(f.t, provider, withTimeouts(f.wire.Request, limit.timeouts))
	if got.Class != limit.want || time.Since(began) != limit.after {
		f.t.Errorf("got %s after %s, want %s after %s", got.Class, time.Since(began), limit.want, limit.after)
	}
	afterFirst := limit.after > f.wire.SlowFirst
	if (got.TimeToFirstToken > 0) != afterFirst || (got.Partial != "") != afterFirst {
		f.t.Errorf("time to first token %s, partial %q; want them set: %t", got.TimeToFirstToken, got.Partial, afterFirst)
	}
}

// patience gives each clock just enough time.
func (f fixture) patience() {
	provider := f.open(f.t, f.wire.Slow)
	got, err := provider.Call(f.t.Context(), withTimeouts(f.wire.Request, providers.Timeouts{
		Connect:    1,
		FirstToken: f.wire.SlowFirst + 1,
		Stall:      f.wire.SlowNext + 1,
		Total:      f.wire.SlowFirst + f.wire.SlowNext + 1,
	}), nil)
	if err != nil {
		f.t.Fatalf("got %v", err)
	}
	if got.TimeToFirstToken != f.wire.SlowFirst {
		f.t.Errorf("time to first token: got %s, want %s", got.TimeToFirstToken, f.wire.SlowFirst)
	}
}

// slowListener has a listener that takes longer than the provider may.
func (f fixture) slowListener() {
	provider := f.open(f.t, f.wire.Slow)
	req := withTimeouts(f.wire.Request, providers.Timeouts{FirstToken: f.wire.SlowFirst + 1, Stall: f.wire.SlowNext + 1})
	_, err := provider.Call(f.t.Context(), req, func(providers.Chunk) { wait(f.t.Context(), 10*f.wire.SlowNext) })
	if err != nil {
		f.t.Errorf("got %v: the listener's time was counted as the provider's", err)
	}
}

func (f fixture) cancelledBefore() {
	var requests atomic.Int64
	provider := f.open(f.t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	ctx, cancel := context.WithCancel(f.t.Context())
	cancel()
	_, err := provider.Call(ctx, f.wire.Request, nil)
	if got := asError(f.t, err); got.Class != providers.Cancelled || requests.Load() != 0 {
		f.t.Errorf("got %s with %d requests sent, want cancelled with none", got.Class, requests.Load())
	}
}

func (f fixture) cancelledInside() {
	left := make(chan struct{})
	provider := f.open(f.t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(left)
		f.wire.Slow.ServeHTTP(w, r)
	}))
	ctx, cancel := context.WithCancel(f.t.Context())
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		_, err := provider.Call(ctx, f.wire.Request, nil)
		failed <- err
	}()
	wait(f.t.Context(), f.wire.SlowFirst+1)
	synctest.Wait()
	cancelled := time.Now()
	cancel()
	got := asError(f.t, <-failed)
	if got.Class != providers.Cancelled || got.Partial == "" {
		f.t.Errorf("got %s with partial %q, want cancelled with what had arrived", got.Class, got.Partial)
	}
	<-left // the server learns of it, so that nobody pays for the rest
	if took := time.Since(cancelled); took > 0 {
		f.t.Errorf("it took %s to end", took)
	}
}

func (f fixture) contextDeadline() {
	provider := f.open(f.t, f.wire.Slow)
	ctx, cancel := context.WithTimeout(f.t.Context(), f.wire.SlowFirst/2)
	defer cancel()
	_, err := provider.Call(ctx, f.wire.Request, nil)
	if got := asError(f.t, err); got.Class != providers.Cancelled {
		f.t.Errorf("got %s, want cancelled: the caller's deadline is no timeout of the call", got.Class)
	}
}

// oneRequest breaks a connection that was good before, which tempts an
// HTTP client to send the request again.
func (f fixture) oneRequest() {
	var requests atomic.Int64
	provider := f.open(f.t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) > 1 {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}
		f.wire.Answers[0].Reply.ServeHTTP(w, r)
	}))
	req := f.wire.Request
	req.IdempotencyKey = "execution-1"
	if _, err := provider.Call(f.t.Context(), req, nil); err != nil {
		f.t.Fatal(err)
	}
	got := mustFail(f.t, provider, req)
	if got.Class != providers.Connection || requests.Load() != 2 {
		f.t.Errorf("got %s after %d requests, want connection after 2: a call is one request", got.Class, requests.Load())
	}
}

func (f fixture) redirect() {
	var requests atomic.Int64
	provider := f.open(f.t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		http.Redirect(w, r, "http://elsewhere/", http.StatusTemporaryRedirect)
	}))
	got := mustFail(f.t, provider, f.wire.Request)
	if got.Class != providers.NotFound || requests.Load() != 1 {
		f.t.Errorf("got %s after %d requests, want not_found after 1", got.Class, requests.Load())
	}
}

// secrets has a server that quotes all it was sent.
func (f fixture) secrets() {
	provider := f.open(f.t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), Prompt) || !strings.Contains(fmt.Sprint(r.Header), Key) {
			f.t.Error("the request lacks the prompt or the key")
		}
		said, _ := json.Marshal(map[string]any{"error": map[string]any{"message": fmt.Sprint(r.Header, string(body))}})
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write(said)
	}))
	got := mustFail(f.t, provider, f.wire.Request)
	if got.Class != providers.Authentication {
		f.t.Errorf("got %s, want authentication", got.Class)
	}
	if strings.Contains(got.Detail, Key) {
		f.t.Errorf("the detail quotes the key: %s", got.Detail)
	}
	if !strings.Contains(got.Detail, Prompt) {
		f.t.Errorf("the detail lacks the server's words: %s", got.Detail)
	}
	for _, printed := range []string{
		got.Error(), fmt.Sprint(got.Err), fmt.Sprintf("%v", provider), fmt.Sprintf("%+v", provider),
		fmt.Sprintf("%#v", provider), fmt.Sprintf("%s", provider), fmt.Sprintf("%x", provider),
	} {
		if strings.Contains(printed, Key) || strings.Contains(printed, Prompt) ||
			strings.Contains(printed, fmt.Sprintf("%x", Key)) {
			f.t.Errorf("a secret is printed: %s", printed)
		}
	}
}

// hangingErrorBody has a server that says 429 and how long to wait, and
// then nothing: the hint must not be lost over it.
func (f fixture) hangingErrorBody() {
	provider := f.open(f.t, Reply{Status: 429, Header: map[string]string{"Retry-After": "7"}, End: Hang})
	began := time.Now()
	got := mustFail(f.t, provider, f.wire.Request)
	if got.Class != providers.RateLimited || got.RetryAfter != 7*time.Second {
		f.t.Errorf("got %s, retry after %s", got.Class, got.RetryAfter)
	}
	if took := time.Since(began); took > 10*time.Second {
		f.t.Errorf("it took %s without any timeout set", took)
	}
}

func (f fixture) many() {
	provider := f.open(f.t, f.wire.Answers[0].Reply)
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			got, err := provider.Call(f.t.Context(), f.wire.Request, func(providers.Chunk) {})
			if err != nil || !sameJSON(f.t, got.Body, f.wire.Answers[0].Body) {
				f.t.Errorf("got %s, error %v", got.Body, err)
			}
		})
	}
	calls.Wait()
}

func mustFail(t *testing.T, provider providers.Provider, req providers.Request) *providers.Error {
	t.Helper()
	response, err := provider.Call(t.Context(), req, nil)
	if err == nil {
		t.Fatalf("got an answer, want an error: %s", response.Body)
	}
	if !reflect.DeepEqual(response, providers.Response{}) {
		t.Errorf("there is a response beside the error: %+v", response)
	}
	return asError(t, err)
}

func asError(t *testing.T, err error) *providers.Error {
	t.Helper()
	failure, ok := errors.AsType[*providers.Error](err)
	if !ok {
		t.Fatalf("got %T %v, want a *providers.Error", err, err)
	}
	return failure
}

func detailOf(err error) string {
	if failure, ok := errors.AsType[*providers.Error](err); ok {
		return failure.Detail
	}
	return ""
}

func withTimeouts(req providers.Request, timeouts providers.Timeouts) providers.Request {
	req.Timeouts = timeouts
	return req
}

func sameJSON(t *testing.T, got json.RawMessage, want string) bool {
	t.Helper()
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Errorf("the body is not JSON: %v", err)
		return false
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatalf("the wanted body is not JSON: %v", err)
	}
	return reflect.DeepEqual(a, b)
}
