package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/internal/testenv"
)

// fleet is the processes of one Penstock and a simulated provider.
type fleet struct {
	t         *testing.T
	env       []string
	api       *process
	apiAddr   string
	workers   []*process
	simulator string
	database  string
	redis     *testenv.Server
	client    *http.Client
}

// startFleet starts a provider, an API and two workers on stores of their own.
func startFleet(t *testing.T) *fleet {
	t.Helper()
	dir := t.TempDir()
	f := &fleet{
		t: t, simulator: freeAddr(t), apiAddr: freeAddr(t), redis: testenv.RedisServer(t), database: testenv.Postgres(t),
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	t.Cleanup(f.client.CloseIdleConnections)
	config := filepath.Join(dir, "penstock.yaml")
	write(t, config, fmt.Sprintf(`
providers: {sim: {type: openai, base_url: "http://%s/v1", api_key: "${SIM_KEY}", concurrency: 40}}
routes: {default: {targets: [sim/sim-1]}}
`, f.simulator))
	write(t, filepath.Join(dir, "faults.json"), slow)
	f.env = []string{
		"PENSTOCK_CONFIG=" + config, "PENSTOCK_DATABASE_URL=" + f.database, "PENSTOCK_REDIS_URL=" + f.redis.URL(),
		"SIM_KEY=" + secret, "PENSTOCK_LOG=json,debug",
	}
	start(t, nil, "simulator", "-addr", f.simulator, "-config", filepath.Join(dir, "faults.json"))
	f.startAPI()
	for range 2 {
		f.startWorker()
	}
	return f
}

// secret is the API key of the simulated provider, which must show nowhere.
const secret = "sk-very-secret-indeed"

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (f *fleet) startAPI() {
	f.t.Helper()
	f.api = start(f.t, append(f.env, "PENSTOCK_ADDR="+f.apiAddr), "api")
	ready(f.t, f.apiAddr)
}

func (f *fleet) startWorker() {
	f.t.Helper()
	addr := freeAddr(f.t)
	f.workers = append(f.workers, start(f.t, append(f.env, "PENSTOCK_WORKER_ADDR="+addr), "worker"))
	ready(f.t, addr)
}

// job is what the tests look at of a job.
type job struct {
	ID     string          `json:"id"`
	Status string          `json:"status"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code string `json:"code"`
	} `json:"error"`
}

func (j job) done() bool { return j.Status != "queued" && j.Status != "running" && j.Status != "" }

// do makes one request; an error is the network's or an answer of 5xx.
func (f *fleet) do(method, path, body string, header ...string) (job, error) {
	req, err := http.NewRequestWithContext(f.t.Context(), method, "http://"+f.apiAddr+path, strings.NewReader(body))
	if err != nil {
		return job{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return job{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return job{}, err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return job{}, fmt.Errorf("%s: %s", resp.Status, raw)
	}
	var j job
	return j, json.Unmarshal(raw, &j)
}

// submitAll submits jobs from 8 callers, each repeating with its key until it
// is accepted, and returns their ids.
func (f *fleet) submitAll(n int) []string {
	f.t.Helper()
	ids := make([]string, n)
	next := make(chan int)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for i := range next {
				ids[i] = f.submitUntilAccepted(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	callers.Wait()
	return ids
}

func (f *fleet) submitUntilAccepted(i int) string {
	body := fmt.Sprintf(`{"request":{"model":"default","messages":[{"role":"user","content":%q}],"max_tokens":8}}`,
		prompt+strconv.Itoa(i))
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		if j, err := f.do(http.MethodPost, "/v1/jobs", body, "Idempotency-Key", "key-"+strconv.Itoa(i)); err == nil {
			return j.ID
		}
	}
	f.t.Errorf("job %d was not accepted within a minute", i)
	return ""
}

// prompt begins every prompt, which must show nowhere.
const prompt = "a prompt nobody else may read "

// waitAll polls until every job has ended, within a minute, and returns them.
func (f *fleet) waitAll(ids []string) map[string]job {
	f.t.Helper()
	ended := map[string]job{}
	eventually(f.t, time.Minute, fmt.Sprintf("%d jobs ended", len(ids)), func() bool {
		for _, id := range ids {
			if _, ok := ended[id]; ok {
				continue
			}
			j, err := f.do(http.MethodGet, "/v1/jobs/"+id, "")
			if err != nil || !j.done() {
				return false
			}
			ended[id] = j
		}
		return true
	})
	return ended
}

// call is a line of the provider's own log.
type call struct {
	Time           time.Time `json:"time"`
	IdempotencyKey string    `json:"idempotency_key"`
	Outcome        string    `json:"outcome"`
}

// execution and fence are what the idempotency key is made of.
func (c call) execution() string { return c.IdempotencyKey[:strings.LastIndex(c.IdempotencyKey, "-")] }

// calls returns what the provider was asked, oldest first.
func (f *fleet) calls() []call {
	f.t.Helper()
	resp, err := http.Get("http://" + f.simulator + "/calls") //nolint:noctx // on loopback, at once
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	var all []call
	for dec := json.NewDecoder(bytes.NewReader(raw)); dec.More(); {
		var c call
		if err := dec.Decode(&c); err != nil {
			f.t.Fatalf("read the provider's log: %v", err)
		}
		all = append(all, c)
	}
	return all
}
