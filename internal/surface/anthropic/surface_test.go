package anthropic

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// rig is a surface over doubles, in a server that is as good as none.
type rig struct {
	url    string
	server *httptest.Server
	// submitted, cancelled and callers are what became of requests.
	submitted []jobs.NewJob
	cancelled chan uuid.UUID
	callers   chan *surface.Caller
	// job is what submissions become, replayed that they were made before; ended is what
	// waiting for it brings.
	job      jobs.Job
	replayed bool
	ended    jobs.Job
	// events are those of its stream; hold keeps it open behind them.
	events []jobs.StreamEvent
	hold   bool
	// stop is the end of the process.
	stop context.CancelFunc
	base context.Context //nolint:containedctx // that of the process, for the test
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{
		cancelled: make(chan uuid.UUID, 1), callers: make(chan *surface.Caller, 10),
		job: jobs.Job{ID: uuid.Must(uuid.NewV7()), Status: jobs.StatusQueued, Deadline: time.Now().Add(time.Minute)},
	}
	r.base, r.stop = context.WithCancel(t.Context())
	t.Cleanup(r.stop)
	s := New(Config{Jobs: r, Follower: r, InputTokens: func(string, []byte) int64 { return 7 }})
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c := &surface.Caller{Tenant: "acme", RequestID: "req_1", WriteTimeout: time.Minute, Server: served{r, req}}
		defer func() { r.callers <- c }()
		s.ServeHTTP(w, req.WithContext(surface.WithCaller(req.Context(), c)))
	}))
	t.Cleanup(r.server.Close)
	r.url = r.server.URL
	return r
}

// served is the server's part in one request.
type served struct {
	rig *rig
	r   *http.Request
}

func (s served) ReadBody() ([]byte, func(), error) {
	body, err := io.ReadAll(s.r.Body)
	return body, func() {}, err
}

func (s served) Upload(int64) io.Reader { return s.r.Body }

func (s served) Wait() (context.Context, func(), error) {
	ctx, cancel := context.WithCancel(s.r.Context())
	stop := context.AfterFunc(s.rig.base, cancel)
	return ctx, func() { stop(); cancel() }, nil
}

func (r *rig) Submit(_ context.Context, n jobs.NewJob) (jobs.Submitted, error) {
	r.submitted = append(r.submitted, n)
	return jobs.Submitted{Job: r.job, Replayed: r.replayed && !n.Renew}, nil
}

func (r *rig) Wait(ctx context.Context, _ string, _ uuid.UUID, _ time.Duration) (jobs.Job, error) {
	if r.hold {
		<-ctx.Done()
		return r.job, nil
	}
	return r.ended, nil
}

func (r *rig) Cancel(_ context.Context, _ string, id uuid.UUID) (jobs.Job, error) {
	r.cancelled <- id
	return r.job, nil
}

func (r *rig) Open(context.Context, string, uuid.UUID) (jobs.Stream, error) { return r, nil }

func (r *rig) Close() {}

func (r *rig) Run(ctx context.Context, _ jobs.StreamPosition, tell func(...jobs.StreamEvent) error) error {
	for _, e := range r.events {
		if err := tell(e); err != nil {
			return err
		}
	}
	if r.hold {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// reply is an answer but for its body.
type reply struct {
	StatusCode int
	Header     http.Header
}

// post posts a request for a message. The answer's body is all that came.
func (r *rig) post(t *testing.T, body string, header ...string) (reply, string) {
	t.Helper()
	return r.postTo(t, "/v1/messages", body, header...)
}

// postTo is post to another path.
func (r *rig) postTo(t *testing.T, path, body string, header ...string) (reply, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := r.server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	all, _ := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header}, string(all)
}

const (
	request  = `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}`
	streamed = `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi"}],"stream":true}`
	message  = `{"id":"msg_1","model":"m","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}`
	piece1   = `{"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"hel"}}]}`
)

func succeeded() jobs.Job {
	return jobs.Job{Status: jobs.StatusSucceeded, Result: json.RawMessage(message)}
}

func failed(code string) jobs.Job {
	return jobs.Job{Status: jobs.StatusFailed, Error: &jobs.JobError{Code: code, Message: "it did not work"}}
}

func delta(data string) jobs.StreamEvent {
	return jobs.StreamEvent{Type: jobs.StreamDelta, Data: json.RawMessage(data)}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ended = succeeded()
	resp, body := r.post(t, request)
	if resp.StatusCode != http.StatusOK || body != message || resp.Header.Get("request-id") != "req_1" {
		t.Errorf("got %d %v %s", resp.StatusCode, resp.Header, body)
	}
	n := r.submitted[0]
	if n.Tenant != "acme" || n.Endpoint != "/v1/messages" || n.Priority != jobs.PriorityHigh || !n.NoDedupe || !n.Renew ||
		n.Within != 10*time.Minute || n.IdempotencyKey == "" || n.Timeout == 0 {
		t.Errorf("submitted %+v", n)
	}
}

// TestRetryFindsItsFirstTry: only an SDK's retry does, and only while that has an answer
// or may get one.
func TestRetryFindsItsFirstTry(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ended, r.replayed = succeeded(), true
	r.post(t, request, "X-Stainless-Retry-Count", "1")
	if len(r.submitted) != 1 || r.submitted[0].Renew {
		t.Errorf("a retry of what is under way submitted %+v", r.submitted)
	}
	r.job = failed("server_error")
	r.post(t, request, "X-Stainless-Retry-Count", "2")
	if len(r.submitted) != 3 || !r.submitted[2].Renew || r.submitted[0].IdempotencyKey != r.submitted[2].IdempotencyKey {
		t.Errorf("a retry of what has failed submitted %+v", r.submitted)
	}
	r.post(t, request, "X-Stainless-Retry-Count", "0")
	if len(r.submitted) != 4 || !r.submitted[3].Renew {
		t.Errorf("a first try submitted %+v", r.submitted[3:])
	}
}

// TestFailures: each code has a status and a type, and SDKs are told not to try what
// Penstock has tried, streamed or not.
func TestFailures(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]struct {
		status int
		kind   string
		retry  string
	}{
		"rate_limited":     {429, "rate_limit_error", "false"},
		"overloaded":       {529, "overloaded_error", "false"},
		"unavailable":      {529, "overloaded_error", ""},
		"quota_exhausted":  {402, "billing_error", "false"},
		"timeout_stall":    {504, "timeout_error", "false"},
		"expired":          {504, "timeout_error", "false"},
		"context_length":   {400, "invalid_request_error", "false"},
		"content_filtered": {400, "invalid_request_error", "false"},
		"authentication":   {401, "authentication_error", "false"},
		"permission":       {403, "permission_error", "false"},
		"not_found":        {404, "not_found_error", "false"},
		"poisoned":         {500, "api_error", "false"},
		"a new one":        {500, "api_error", "false"},
	} {
		r := newRig(t)
		r.ended = failed(code)
		r.events = []jobs.StreamEvent{{Type: jobs.StreamDone, Job: r.ended}}
		for _, body := range []string{request, streamed} {
			resp, got := r.post(t, body)
			var e errorJSON
			if err := json.Unmarshal([]byte(got), &e); err != nil {
				t.Fatalf("%s: %s: %v", code, got, err)
			}
			if resp.StatusCode != want.status || e.Error.Type != want.kind || resp.Header.Get("X-Should-Retry") != want.retry ||
				e.Type != "error" || e.RequestID == nil || *e.RequestID != "req_1" || e.Error.Message != "it did not work" {
				t.Errorf("%s: got %d %s %s, want %+v", code, resp.StatusCode, resp.Header.Get("X-Should-Retry"), got, want)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		kind   string
		says   string
		after  bool
	}{
		{jobs.Invalid("/request/messages/0/role", "is wrong"), 400, "invalid_request_error", "messages.0.role: is wrong", false},
		{&jobs.Error{Code: jobs.CodeUnknownModel, Message: "none"}, 404, "not_found_error", "none", false},
		{jobs.ErrNotEnded, 400, "invalid_request_error", "only a job", false},
		{jobs.Unavailable(errors.New("secret")), 503, "api_error", "repeat the request", true},
		{&jobs.Error{Code: surface.CodeRateLimited, Message: "busy"}, 429, "rate_limit_error", "busy", true},
		{&jobs.Error{Code: surface.CodeBodyTooLarge, Message: "large"}, 413, "request_too_large", "large", false},
		{&jobs.Error{Code: surface.CodeForbidden, Message: "no"}, 403, "permission_error", "no", false},
		{&jobs.Error{Code: surface.CodeMethodNotAllowed, Message: "no"}, 405, "invalid_request_error", "no", false},
		{surface.ErrStopping, 503, "api_error", "stop", true},
		{errors.New("secret"), 500, "api_error", "the log has it", false},
	} {
		w := httptest.NewRecorder()
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/messages", nil)
		new(Surface).Refuse(w, req.WithContext(surface.WithCaller(req.Context(), &surface.Caller{RequestID: "req_1"})), c.err)
		var e errorJSON
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if w.Code != c.status || e.Error.Type != c.kind || !strings.Contains(e.Error.Message, c.says) ||
			strings.Contains(w.Body.String(), "secret") || (w.Header().Get("Retry-After") != "") != c.after {
			t.Errorf("%v: got %d %v %s, want %+v", c.err, w.Code, w.Header(), w.Body, c)
		}
	}
}

// names are those of the events of a body.
func names(body string) string {
	var all []string
	for line := range strings.Lines(body) {
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			all = append(all, strings.TrimSpace(name))
		}
	}
	return strings.Join(all, " ")
}

func TestStreams(t *testing.T) {
	t.Parallel()
	const begun = "message_start content_block_start content_block_delta"
	done := jobs.StreamEvent{Type: jobs.StreamDone, Job: succeeded()}
	for name, c := range map[string]struct {
		events    []jobs.StreamEvent
		want      string
		cancelled bool
	}{
		"whole": {
			[]jobs.StreamEvent{{Type: jobs.StreamStatus}, delta(piece1), done},
			begun + " content_block_delta content_block_stop message_delta message_stop", false,
		},
		"from the result alone, after a wait": {
			[]jobs.StreamEvent{{Type: jobs.StreamPing}, done},
			"ping " + begun + " content_block_stop message_delta message_stop", false,
		},
		"begun again after a token": {[]jobs.StreamEvent{delta(piece1), {Type: jobs.StreamRestart}, done}, begun + " error", true},
		"begun again before one": {
			[]jobs.StreamEvent{{Type: jobs.StreamRestart}, delta(piece1), done},
			begun + " content_block_delta content_block_stop message_delta message_stop", false,
		},
		"failed after a token": {
			[]jobs.StreamEvent{delta(piece1), {Type: jobs.StreamDone, Job: failed("truncated")}}, begun + " error", false,
		},
		"failed after a wait": {
			[]jobs.StreamEvent{{Type: jobs.StreamPing}, {Type: jobs.StreamDone, Job: failed("overloaded")}}, "ping error", false,
		},
		"another answer than was shown": {
			[]jobs.StreamEvent{delta(strings.Replace(piece1, "hel", "bye", 1)), done}, begun + " error", false,
		},
	} {
		r := newRig(t)
		r.events = c.events
		resp, body := r.post(t, streamed)
		if got := names(body); got != c.want || resp.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
			t.Errorf("%s: got %s (%s), want %s", name, got, resp.Header.Get("Content-Type"), c.want)
		}
		if got := len(r.cancelled) > 0; got != c.cancelled {
			t.Errorf("%s: the job was cancelled: %v, want %v", name, got, c.cancelled)
		}
	}
}

// TestClientLeaves: a stream that has begun has no other reader; anything else may be
// asked for again.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body      string
		events    []jobs.StreamEvent
		cancelled bool
	}{
		"waiting":                {request, nil, false},
		"a stream at its token":  {streamed, []jobs.StreamEvent{delta(piece1)}, true},
		"a stream without token": {streamed, []jobs.StreamEvent{{Type: jobs.StreamPing}}, false},
	} {
		r := newRig(t)
		r.hold, r.events = true, c.events
		ctx, leave := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+"/v1/messages", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if c.events == nil {
			time.AfterFunc(50*time.Millisecond, leave)
		}
		if resp, err := r.server.Client().Do(req); err == nil {
			_, _ = io.ReadFull(resp.Body, make([]byte, 10))
			leave()
			resp.Body.Close()
		}
		leave()
		if caller := <-r.callers; !caller.Aborted || caller.Code != "" {
			t.Errorf("%s: the log has %+v, want that the connection was closed", name, caller)
		}
		if got := len(r.cancelled) > 0; got != c.cancelled {
			t.Errorf("%s: the job was cancelled: %v, want %v", name, got, c.cancelled)
		}
	}
}

// TestProcessStops: those who wait are told to come again, and streams end in order.
func TestProcessStops(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.hold = true
	time.AfterFunc(20*time.Millisecond, r.stop)
	resp, body := r.post(t, request)
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("got %d %v %s", resp.StatusCode, resp.Header, body)
	}
	r = newRig(t)
	r.hold, r.events = true, []jobs.StreamEvent{delta(piece1)}
	time.AfterFunc(20*time.Millisecond, r.stop)
	if _, body := r.post(t, streamed); !strings.HasSuffix(names(body), " error") || len(r.cancelled) == 0 {
		t.Errorf("got %s", body)
	}
}

func TestCountTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for body, want := range map[string]string{request: `{"input_tokens":7}`, `{}`: `"messages: must be an array`} {
		_, got := r.postTo(t, "/v1/messages/count_tokens", body)
		if !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
}
