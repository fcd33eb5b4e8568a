package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

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

// answer is what an API said.
type answer struct {
	job

	// status is the HTTP status.
	status     int
	code       string // of a problem
	retryAfter string
}

// ask makes one request; an error is the network's.
func (f *fleet) ask(ctx context.Context, n *node, method, path, body string, header ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+n.addr+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, retryAfter: resp.Header.Get("Retry-After")}
	if resp.StatusCode < http.StatusBadRequest {
		return a, json.Unmarshal(raw, &a.job)
	}
	var problem struct {
		Code  string `json:"code"`
		Error struct {
			Code string `json:"code"`
		} `json:"error"` // in the words of OpenAI
	}
	err = json.Unmarshal(raw, &problem)
	a.code = cmp.Or(problem.Code, problem.Error.Code)
	return a, err
}

// askInto makes one request, decodes what is no refusal into the given value, and
// returns the status.
func (f *fleet) askInto(ctx context.Context, n *node, into any, method, path, body string, header ...string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+n.addr+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.NewDecoder(resp.Body).Decode(into)
}

// do makes one request to the first API; an error is the network's or a refusal.
func (f *fleet) do(method, path, body string, header ...string) (job, error) {
	a, err := f.ask(f.t.Context(), f.apis[0], method, path, body, header...)
	if err == nil && a.status >= http.StatusBadRequest {
		err = fmt.Errorf("%s %s: %d %s", method, path, a.status, a.code)
	}
	return a.job, err
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

// allSucceeded waits for the jobs and proves that each has an answer.
func (f *fleet) allSucceeded(ids []string) {
	f.t.Helper()
	if unique := len(slices.Compact(slices.Sorted(slices.Values(ids)))); unique != len(ids) {
		f.t.Errorf("%d ids for %d submissions", unique, len(ids))
	}
	for id, j := range f.waitAll(ids) {
		if j.Status != "succeeded" || len(j.Result) == 0 {
			f.t.Errorf("job %s: %s %v", id, j.Status, j.Error)
		}
	}
}

// call is a line of the provider's own log.
type call struct {
	Time           time.Time `json:"time"`
	Ended          time.Time `json:"ended"`
	IdempotencyKey string    `json:"idempotency_key"`
	Outcome        string    `json:"outcome"`
}

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

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
