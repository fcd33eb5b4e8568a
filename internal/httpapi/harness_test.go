package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/internal/memnet"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// double is a Service whose answers a test sets. What is not set must not be
// asked.
type double struct {
	submit func(jobs.NewJob) (jobs.Submitted, error)
	job    func(tenant string, id uuid.UUID) (jobs.Job, error)
	wait   func(ctx context.Context, atMost time.Duration) (jobs.Job, error)
	list   func(jobs.JobQuery) ([]jobs.Job, bool, error)
	cancel func(tenant string, id uuid.UUID) (jobs.Job, error)
	retry  func(tenant string, id uuid.UUID) (jobs.Submitted, error)
	delete func(tenant string, id uuid.UUID) error
	calls  func(tenant string, id uuid.UUID) ([]jobs.Call, error)
	// delivered may be left out.
	delivered func(jobs.Job) error
}

var _ Service = double{}

func (d double) Submit(_ context.Context, n jobs.NewJob) (jobs.Submitted, error) { return d.submit(n) }

func (d double) Job(_ context.Context, tenant string, id uuid.UUID) (jobs.Job, error) {
	return d.job(tenant, id)
}

func (d double) Wait(ctx context.Context, _ string, _ uuid.UUID, atMost time.Duration) (jobs.Job, error) {
	return d.wait(ctx, atMost)
}

func (d double) List(_ context.Context, q jobs.JobQuery) ([]jobs.Job, bool, error) { return d.list(q) }

func (d double) Cancel(_ context.Context, tenant string, id uuid.UUID) (jobs.Job, error) {
	return d.cancel(tenant, id)
}

func (d double) Retry(_ context.Context, tenant string, id uuid.UUID) (jobs.Submitted, error) {
	return d.retry(tenant, id)
}

func (d double) Delete(_ context.Context, tenant string, id uuid.UUID) error {
	return d.delete(tenant, id)
}

func (d double) Calls(_ context.Context, tenant string, id uuid.UUID) ([]jobs.Call, error) {
	return d.calls(tenant, id)
}

func (d double) Delivered(_ context.Context, j jobs.Job) error {
	if d.delivered == nil {
		return nil
	}
	return d.delivered(j)
}

// follows is a Follower of jobs that have ended.
type follows struct{ Service }

func (f follows) Open(ctx context.Context, tenant string, id uuid.UUID) (jobs.Stream, error) {
	job, err := f.Job(ctx, tenant, id)
	return streamFunc(func(_ context.Context, _ jobs.StreamPosition, tell func(...jobs.StreamEvent) error) error {
		return tell(jobs.StreamEvent{Type: jobs.StreamDone, Job: job})
	}), err
}

// streamFunc is a stream, and a Follower that has only this one.
type streamFunc func(ctx context.Context, after jobs.StreamPosition, tell func(...jobs.StreamEvent) error) error

func (f streamFunc) Run(
	ctx context.Context, after jobs.StreamPosition, tell func(...jobs.StreamEvent) error,
) error {
	return f(ctx, after, tell)
}

func (f streamFunc) Close() {}

func (f streamFunc) Open(context.Context, string, uuid.UUID) (jobs.Stream, error) { return f, nil }

// ping is a part that answers, or fails with itself.
type ping struct{ err error }

func (p ping) Ping(context.Context) error { return p.err }

// harness is an API on a listener in memory, and a client whose every exchange
// is held against openapi.yaml.
type harness struct {
	t        testing.TB
	api      *API
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	client   *http.Client
	contract *contract
	log      *lockedBuffer
	// stop ends serving; served gets what Serve returned.
	stop   context.CancelFunc
	served chan error
}

func start(t testing.TB, cfg Config) *harness {
	t.Helper()
	h := &harness{t: t, log: &lockedBuffer{}, served: make(chan error, 1)}
	if cfg.Service == nil {
		cfg.Service = double{}
	}
	if cfg.Store == nil {
		cfg.Store = ping{}
	}
	if cfg.Follower == nil {
		cfg.Follower = follows{cfg.Service}
	}
	if cfg.Reload == nil {
		cfg.Reload = reloads
	}
	cfg.Log = zerolog.New(h.log)
	api, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.api = api
	listener := memnet.Listen()
	h.dial = listener.DialContext
	transport := &http.Transport{DialContext: listener.DialContext}
	h.contract = newContract(t, transport)
	h.client = &http.Client{Transport: h.contract}
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.served <- api.Serve(ctx, listener)
	}()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		<-done
	})
	return h
}

// answer is what came back, read whole.
type answer struct {
	status int
	header http.Header
	body   string
}

// do makes one exchange. headers are pairs of name and value.
func (h *harness) do(method, path, body string, headers ...string) answer {
	h.t.Helper()
	a, err := h.try(context.Background(), method, path, strings.NewReader(body), headers...)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func (h *harness) try(ctx context.Context, method, path string, body io.Reader, headers ...string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://penstock"+path, body)
	if err != nil {
		return answer{}, err
	}
	if method == http.MethodPost && path == "/v1/jobs" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		} else {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	return h.send(r)
}

func (h *harness) send(r *http.Request) (answer, error) {
	res, err := h.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	return answer{status: res.StatusCode, header: res.Header, body: string(got)}, err
}

func (a answer) problem(t testing.TB) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("not a problem: %v\n%d %s", err, a.status, a.body)
	}
	return p
}

// lines returns the log lines so far. A line is written before its answer is
// complete only by luck: call it after stopping, or wait for it.
func (h *harness) lines() []map[string]any {
	h.t.Helper()
	h.stop()
	h.served <- <-h.served
	var lines []map[string]any
	dec := json.NewDecoder(strings.NewReader(h.log.String()))
	for dec.More() {
		var line map[string]any
		if err := dec.Decode(&line); err != nil {
			h.t.Fatalf("log: %v\n%s", err, h.log.String())
		}
		lines = append(lines, line)
	}
	return lines
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const (
	someID   = "0199f1a2-7c3e-7d4b-9a51-3f0c8e6b2d17"
	someHash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	smallest = `{"request":{"model":"default","messages":[{"role":"user","content":"hi"}]}}`
)

var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

// queued is a job that has just come in.
func queued() jobs.Job {
	return jobs.Job{
		ID: uuid.MustParse(someID), Tenant: DefaultTenant, Status: jobs.StatusQueued,
		Endpoint: providers.ChatCompletions, Model: "default", Deadline: noon.Add(24 * time.Hour), CreatedAt: noon,
		RequestHash: someHash,
	}
}

// succeeded is the same job with its answer.
func succeeded() jobs.Job {
	cost := jobs.Dollar / 1000
	j := queued()
	j.Status, j.StartedAt, j.FinishedAt = jobs.StatusSucceeded, noon.Add(50*time.Millisecond), noon.Add(2*time.Second)
	j.Provider, j.CostUSD = "openai", &cost
	j.Usage = providers.Usage{Known: true, InputTokens: 12, OutputTokens: 9, CachedTokens: 3, ReasoningTokens: 1}
	j.Result = json.RawMessage(`{"object":"chat.completion","text":"a < b & c"}`)
	return j
}

func submits(j jobs.Job) func(jobs.NewJob) (jobs.Submitted, error) {
	return func(jobs.NewJob) (jobs.Submitted, error) { return jobs.Submitted{Job: j}, nil }
}

func finds(j jobs.Job) func(string, uuid.UUID) (jobs.Job, error) {
	return func(string, uuid.UUID) (jobs.Job, error) { return j, nil }
}

// direct is a transport without a network.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return w.Result(), nil
}
