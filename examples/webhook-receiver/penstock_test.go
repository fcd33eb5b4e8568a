package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/internal/app"
)

// What docs/WEBHOOKS.md begins with: an embedded process, an endpoint, a receiver, a job.
func TestReceiversAreToldOfAJob(t *testing.T) {
	t.Parallel()
	api := startPenstock(t)
	receivers := map[string]*process{}
	for _, l := range languages(t) {
		receivers[l.name] = l.endpoint(t, api)
	}
	var job struct{ ID, Status string }
	api.call(http.MethodPost, "/v1/jobs", `{"request": {"model": "default", "messages": [{"role": "user", "content": "Hello!"}]}}`, &job)

	var sent struct {
		Data []struct{ ID, Status, Type string }
	}
	delivered := func() bool {
		api.call(http.MethodGet, "/v1/jobs/"+job.ID+"/deliveries", "", &sent)
		return len(sent.Data) == len(receivers) && !slices.ContainsFunc(sent.Data, func(d struct{ ID, Status, Type string }) bool {
			return d.Status != "delivered"
		})
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(patience); !delivered(); <-tick.C {
		if time.Now().After(until) {
			t.Fatalf("not delivered after %v: %+v", patience, sent)
		}
	}
	var ids, printed []string
	for _, d := range sent.Data {
		ids = append(ids, d.ID)
	}
	for name, p := range receivers {
		lines := p.stop(t)
		if len(lines) != 1 || !strings.HasSuffix(lines[0], fmt.Sprintf(" job.succeeded %s succeeded", job.ID)) {
			t.Errorf("%s printed %q, want a line on %s", name, lines, job.ID)
			continue
		}
		id, _, _ := strings.Cut(lines[0], " ")
		printed = append(printed, id)
	}
	slices.Sort(ids)
	slices.Sort(printed)
	if !slices.Equal(ids, printed) {
		t.Errorf("printed webhook-ids %q, want those of the deliveries: %q", printed, ids)
	}
}

// endpoint makes an endpoint and starts the receiver that it is for. Its secret is known
// before its address is.
func (l language) endpoint(t *testing.T, api penstock) *process {
	t.Helper()
	var made struct {
		ID, Secret string
		PublicKey  *string `json:"public_key"`
	}
	signature := "v1"
	if l.ed25519 {
		signature = "v1a"
	}
	api.call(http.MethodPost, "/v1/webhook-endpoints", fmt.Sprintf(`{"url": "http://127.0.0.1:9/", "signature": %q}`, signature), &made)
	key := made.Secret
	if made.PublicKey != nil {
		key = *made.PublicKey
	}
	p := l.start(t, key)
	api.call(http.MethodPatch, "/v1/webhook-endpoints/"+made.ID, fmt.Sprintf(`{"url": %q}`, p.url), nil)
	return p
}

// penstock is the API of a process that runs beside the test.
type penstock struct {
	t    *testing.T
	base string
}

func startPenstock(t *testing.T) penstock {
	t.Helper()
	env := map[string]string{"PENSTOCK_ADDR": "127.0.0.1:0", "PENSTOCK_DATA_DIR": t.TempDir(), "PENSTOCK_LOG": "console,warn"}
	var log bytes.Buffer
	system, err := app.Start(context.WithoutCancel(t.Context()), app.RoleEmbedded, func(name string) string { return env[name] }, &log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := system.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if log.Len() > 0 {
			t.Logf("log:\n%s", &log)
		}
	})
	return penstock{t, "http://" + system.Addr()}
}

// call asks the API, and decodes the answer into answer if that is not nil.
func (p penstock) call(method, path, body string, answer any) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.base+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode > 299 {
		p.t.Fatalf("%s %s: %s, error %v: %s", method, path, res.Status, err, text)
	}
	if answer == nil {
		return
	}
	if err := json.Unmarshal(text, answer); err != nil {
		p.t.Fatalf("%s %s: %v: %s", method, path, err, text)
	}
}
