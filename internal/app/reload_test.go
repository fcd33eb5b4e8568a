package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// process is an embedded process with a configuration file and a real listener.
type process struct {
	t    *testing.T
	app  *App
	path string
	log  *logBuffer
}

func startProcess(t *testing.T, file string) *process {
	t.Helper()
	p := &process{t: t, path: writeFile(t, file), log: &logBuffer{}}
	var err error
	p.app, err = Start(t.Context(), RoleEmbedded, env(
		"PENSTOCK_ADDR", "127.0.0.1:0", "PENSTOCK_DATA_DIR", t.TempDir(), "PENSTOCK_CONFIG", p.path, "SECRET", "hunter2",
	), p.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.app.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *process) write(file string) {
	p.t.Helper()
	if err := os.WriteFile(p.path, []byte(file), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) post(path, body string) (status int, answer string) {
	p.t.Helper()
	return p.ask(http.MethodPost, path, body)
}

func (p *process) ask(method, path, body string) (status int, answer string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+p.app.Addr()+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", "wait=30")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

// wantServed submits a job and waits for it; provider is who has to serve it,
// or empty if nobody knows the model.
func (p *process) wantServed(model, provider string) {
	p.t.Helper()
	status, answer := p.post("/v1/jobs", fmt.Sprintf(
		`{"request":{"model":%q,"messages":[{"role":"user","content":"hello"}]},"dedupe":false}`, model))
	if provider == "" {
		if status != 400 || !strings.Contains(answer, `"code":"unknown_model"`) {
			p.t.Errorf("%s: got %d %s, want unknown_model", model, status, answer)
		}
		return
	}
	var job struct {
		Status   string `json:"status"`
		Provider string `json:"provider"`
	}
	if err := json.Unmarshal([]byte(answer), &job); err != nil || job.Status != "succeeded" || job.Provider != provider {
		p.t.Errorf("%s: got %d %s, want it served by %s", model, status, answer, provider)
	}
}

func (p *process) wantReload(status int, want string) {
	p.t.Helper()
	if got, answer := p.post("/v1/admin/reload", ""); got != status || !strings.Contains(answer, want) {
		p.t.Errorf("reload: got %d %s, want %d and %s", got, answer, status, want)
	}
}

const oneProvider = `
providers: {one: {type: simulated, latency: 1ms, models: [m-1]}}
routes: {r: {targets: [one/m-1]}}
`

const otherProvider = `
providers: {two: {type: simulated, latency: 1ms, models: [m-2], concurrency: 3}}
routes: {r: {targets: [two/m-2]}, s: {targets: [two/m-2]}}
use_cases: {chat: {share: 0.5}}
hosts: [new.example.org]
`

// Providers and routes come and go while the process runs.
func TestReloadSwapsProvidersAndRoutes(t *testing.T) {
	t.Parallel()
	p := startProcess(t, oneProvider)
	p.wantServed("r", "one")
	p.wantServed("s", "")
	p.write(otherProvider)
	p.wantReload(200, `"changed":["providers.one","providers.two","routes.r","routes.s","use_cases.chat"],"restart":["hosts"]`)
	p.wantServed("r", "two")
	p.wantServed("s", "two")
	p.wantServed("m-1", "")
	p.wantReload(200, `"changed":[],"restart":["hosts"]`)
	p.write(oneProvider)
	p.wantReload(200, `"changed":["providers.one","providers.two","routes.r","routes.s","use_cases.chat"],"restart":[]`)
	p.wantServed("r", "one")
	if lines := p.log.String(); !strings.Contains(lines, `"keys":["hosts"]`) {
		t.Errorf("the log does not say what takes a restart: %s", lines)
	}
}

// A file with anything wrong in it changes nothing, and every mistake is named.
func TestReloadRefusesAWrongFileAsAWhole(t *testing.T) {
	t.Parallel()
	p := startProcess(t, oneProvider)
	for file, mistakes := range map[string][]string{
		`
providers:
  two: {type: simulated, latency: 1ms, models: [m-2]}
  bad: {type: openai, concurrency: -1}
  worse: {type: openai, url: "http://{host}/"}
routes: {r: {targets: [two/m-2]}, s: {targets: [nobody/m]}}
drain_timeout: -1s
`: {"/providers/bad/concurrency", "/providers/worse/url", "/routes/s/targets", "/drain_timeout"},
		`
providers:
  two: {type: simulated, models: [m-2]}
  three: {type: openai, api_key_file: /no/such/file}
  four: {type: openai, api_keys: ["${SECRET}", "hunter2\n"]}
routes: {r: {targets: [two/m-2]}}
`: {"/providers/three/api_key_file", "/providers/four/api_keys/1"},
		"providers: {two: {type: openai, api_key: '${NO_SUCH}'}, three: {type: openai, api_key: '${NEITHER}'}}": {
			"/providers/two/api_key", "/providers/three/api_key",
		},
		"providers: [": {"/PENSTOCK_CONFIG"},
	} {
		p.write(file)
		for _, mistake := range mistakes {
			p.wantReload(400, `"pointer":"`+mistake+`"`)
		}
		p.wantServed("r", "one")
		p.wantServed("s", "")
		p.wantServed("m-2", "")
	}
	lines := p.log.String()
	if !strings.Contains(lines, `"key":"routes.s.targets"`) || strings.Contains(lines, "hunter2") {
		t.Errorf("the log lacks the mistakes, or has a key: %s", lines)
	}
}

// SIGHUP does what the endpoint does.
func TestReloadOnASignal(t *testing.T) {
	t.Parallel()
	p := startProcess(t, oneProvider)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	go p.app.ReloadOn(hangups)
	p.write(otherProvider)
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !strings.Contains(p.log.String(), "the configuration was read again") {
		select {
		case <-ctx.Done():
			t.Fatalf("nothing was read again: %s", p.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
	p.wantServed("r", "two")
}

// A limit that an operator does not name stays as the file has it: who lowers one
// does not lift the others.
func TestAnOperatorChangesTheLimitsThatTheyName(t *testing.T) {
	t.Parallel()
	p := startProcess(t, `providers: {one: {type: simulated, models: [m-1], concurrency: 7, limits: {rpm: 60, itpm: 1000}}}`)
	for _, c := range []struct {
		limits string
		status int
		want   string
	}{
		{
			`{"rpm": 30}`, http.StatusNoContent,
			"map[concurrency:{7 operator} input_tokens_per_minute:{1000 operator} requests_per_minute:{30 operator}]",
		},
		{
			`{"itpm": 0, "concurrency": null}`, http.StatusNoContent,
			"map[concurrency:{7 operator} requests_per_minute:{60 operator}]",
		},
		{`{"rpm": -1}`, http.StatusBadRequest, "/limits/rpm"},
		{`{"otpm": 9223372036854775807}`, http.StatusBadRequest, "/limits/otpm"},
		{
			`null`, http.StatusNoContent,
			"map[concurrency:{7 configuration} input_tokens_per_minute:{1000 configuration} requests_per_minute:{60 configuration}]",
		},
	} {
		status, answer := p.ask(http.MethodPut, "/v1/lanes/limits", `{"pool": "one", "limits": `+c.limits+`}`)
		if status == http.StatusNoContent {
			answer = p.limits()
		}
		if status != c.status || !strings.Contains(answer, c.want) {
			t.Errorf("limits %s: got %d %s, want %d and %s", c.limits, status, answer, c.status, c.want)
		}
	}
}

// limits tells those of the first lane.
func (p *process) limits() string {
	p.t.Helper()
	var lanes struct {
		Data []struct {
			Limits map[string]struct {
				Limit  int    `json:"limit"`
				Source string `json:"source"`
			} `json:"limits"`
		} `json:"data"`
	}
	_, answer := p.ask(http.MethodGet, "/v1/lanes", "")
	if err := json.Unmarshal([]byte(answer), &lanes); err != nil || len(lanes.Data) == 0 {
		p.t.Fatalf("got %s (%v), want lanes", answer, err)
	}
	return fmt.Sprint(lanes.Data[0].Limits)
}

// Where a tenant's jobs may have webhooks changes while the process runs.
func TestReloadSwapsWhereJobsMayHaveWebhooks(t *testing.T) {
	t.Parallel()
	p := startProcess(t, oneProvider)
	if status, answer := p.post("/v1/webhook-secret/rotate", ""); status != 200 {
		t.Fatalf("a secret: got %d %s", status, answer)
	}
	submit := func(want int) {
		t.Helper()
		status, answer := p.post("/v1/jobs", `{"request":{"model":"r","messages":[{"role":"user","content":"hello"}]},`+
			`"webhook":{"url":"https://hooks.example.com/p/x"}}`)
		if status != want {
			t.Errorf("a job with a webhook: got %d %s, want %d", status, answer, want)
		}
	}
	submit(400)
	p.write(oneProvider + `
tenants: {default: {webhook_allow: ["https://hooks.example.com/p/"]}}
webhooks: {allow_http: true}
`)
	p.wantReload(200, `"changed":["tenants.default"],"restart":["webhooks"]`)
	submit(200)
	p.write(oneProvider)
	p.wantReload(200, `"changed":["tenants.default"],"restart":[]`)
	submit(400)
}
