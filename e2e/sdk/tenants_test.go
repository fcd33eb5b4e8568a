// Package sdk_test tries what the surfaces have in common.
package sdk_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/e2e/sdk/sdktest"
)

// caller is one tenant of a stack.
type caller struct {
	*testing.T

	url, tenant string
}

// do makes a request, and returns the answer.
func (c caller) do(method, path, body string, headers ...string) (status int, header http.Header, answer []byte) {
	c.Helper()
	req, err := http.NewRequestWithContext(c.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	req.Header.Set("Penstock-Tenant", c.tenant)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(resp.Body); err != nil {
		c.Fatal(err)
	}
	return resp.StatusCode, resp.Header, answer
}

// thing is what is looked at in an answer.
type thing struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Input  string `json:"input_file_id"`
	Output string `json:"output_file_id"`
	Errors string `json:"error_file_id"`
}

// make makes a thing.
func (c caller) make(path, body string, headers ...string) (made thing) {
	c.Helper()
	status, _, answer := c.do(http.MethodPost, path, body, headers...)
	if err := json.Unmarshal(answer, &made); err != nil || status >= http.StatusBadRequest || made.ID == "" {
		c.Fatalf("POST %s: %d %s", path, status, answer)
	}
	return made
}

// digits are those of an id, however it is written.
func digits(id string) string {
	if _, after, ok := strings.Cut(id, "_"); ok {
		id = after
	}
	return strings.ReplaceAll(strings.TrimPrefix(id, "file-"), "-", "")
}

// plain is an id as a UUID is written.
func plain(id string) string {
	d := digits(id)
	return d[:8] + "-" + d[8:12] + "-" + d[12:16] + "-" + d[16:20] + "-" + d[20:]
}

// forms are all forms of an id.
func forms(id string) []string {
	return []string{plain(id), "batch_" + digits(id), "msgbatch_" + digits(id), "file-" + digits(id), "resp_" + digits(id), "msg_" + digits(id)}
}

const (
	chatBody    = `{"model":"default","messages":[{"role":"user","content":"the owner's"}]}`
	inlineBatch = `{"requests":[{"custom_id":"a","request":` + chatBody + `}]}`
	messages    = `{"requests":[{"custom_id":"a","params":{"model":"claude/sim-1","max_tokens":9,"messages":[{"role":"user","content":"x"}]}}]}`
	inputForm   = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n" +
		`{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":` + chatBody + `}` + "\r\n--b--\r\n"
)

// owned are the things of a tenant.
type owned struct {
	file, response thing
	// batches are one of each API.
	batches []thing
}

// own makes some of all.
func (c caller) own() (o owned) {
	c.Helper()
	o.file = c.make("/v1/files", inputForm, "Content-Type", "multipart/form-data; boundary=b")
	o.response = c.make("/v1/responses", `{"model":"default","input":"the owner's"}`)
	o.batches = []thing{
		c.make("/v1/batches", `{"input_file_id":"`+o.file.ID+`","endpoint":"/v1/chat/completions","completion_window":"24h"}`),
		c.make("/v1/messages/batches", messages),
		c.make("/v1/job-batches", inlineBatch),
	}
	for i := range o.batches {
		b := &o.batches[i]
		for deadline := time.Now().Add(time.Minute); b.Status != "completed"; {
			if time.Now().After(deadline) {
				c.Fatalf("the batch is %+v", *b)
			}
			_, _, answer := c.do(http.MethodGet, "/v1/job-batches/"+plain(b.ID)+"?wait=10s", "")
			if err := json.Unmarshal(answer, b); err != nil {
				c.Fatal(err)
			}
		}
	}
	return o
}

// operation is one on a thing that there is.
type operation struct{ method, before, after string }

var (
	fileOperations = []operation{
		{"GET", "/v1/files/", ""},
		{"GET", "/v1/files/", "/content"},
		{"DELETE", "/v1/files/", ""},
	}
	responseOperations = []operation{
		{"GET", "/v1/responses/", ""},
		{"GET", "/v1/responses/", "?stream=true"},
		{"GET", "/v1/responses/", "/input_items"},
		{"POST", "/v1/responses/", "/cancel"},
		{"DELETE", "/v1/responses/", ""},
	}
	batchOperations = []operation{
		{"GET", "/v1/batches/", ""},
		{"POST", "/v1/batches/", "/cancel"},
		{"POST", "/v1/batches/", "/pause"},
		{"POST", "/v1/batches/", "/resume"},
		{"POST", "/v1/batches/", "/retry"},
		{"GET", "/v1/messages/batches/", ""},
		{"GET", "/v1/messages/batches/", "/results"},
		{"POST", "/v1/messages/batches/", "/cancel"},
		{"GET", "/v1/job-batches/", ""},
		{"GET", "/v1/job-batches/", "?wait=1s"},
		{"GET", "/v1/job-batches/", "/results"},
		{"GET", "/v1/job-batches/", "/results?order=finished&follow=true"},
		{"POST", "/v1/job-batches/", "/cancel"},
		{"POST", "/v1/job-batches/", "/pause"},
		{"POST", "/v1/job-batches/", "/resume"},
		{"POST", "/v1/job-batches/", "/retry"},
		{"DELETE", "/v1/messages/batches/", ""},
		{"DELETE", "/v1/job-batches/", ""},
	}
	lists = []string{"/v1/files", "/v1/batches", "/v1/messages/batches", "/v1/job-batches", "/v1/jobs"}
)

// finds does each operation on a thing by the forms of its id, and looks whether it is there.
func (c caller) finds(there bool, operations []operation, ids ...string) {
	c.Helper()
	for _, o := range operations {
		for _, id := range ids {
			status, _, answer := c.do(o.method, o.before+id+o.after, "")
			if (status != http.StatusNotFound) != there || status >= http.StatusInternalServerError {
				c.Errorf("%s: %s %s%s%s: got %d %s", c.tenant, o.method, o.before, id, o.after, status, answer)
			}
		}
	}
}

// TestTenants: by no API and by no form of its id does a tenant reach what is another's.
func TestTenants(t *testing.T) {
	t.Parallel()
	s := sdktest.Start(t, "", "")
	owner, other := caller{t, s.URL, "owner"}, caller{t, s.URL, "other"}
	o := owner.own()
	batch := o.batches[0]
	for _, path := range lists {
		if status, _, answer := other.do("GET", path, ""); status != http.StatusOK || strings.Contains(string(answer), `"id"`) {
			t.Errorf("%s lists %d %s", path, status, answer)
		}
	}
	for _, file := range []string{o.file.ID, batch.Output} {
		other.finds(false, fileOperations, forms(file)...)
	}
	other.finds(false, responseOperations, forms(o.response.ID)...)
	for _, b := range o.batches {
		other.finds(false, batchOperations, forms(b.ID)...)
	}
	for path, body := range map[string]string{
		"/v1/batches":     `{"input_file_id":"` + o.file.ID + `","endpoint":"/v1/chat/completions","completion_window":"24h"}`,
		"/v1/job-batches": `{"input_file_id":"` + o.file.ID + `"}`,
	} {
		if status, _, answer := other.do("POST", path, body); status/100 != 4 {
			t.Errorf("POST %s with another's file: got %d %s", path, status, answer)
		}
	}
	owner.finds(true, fileOperations[:2], o.file.ID, plain(o.file.ID), batch.Output, batch.Errors)
	owner.finds(true, responseOperations, o.response.ID)
	owner.finds(true, batchOperations[:len(batchOperations)-1], "batch_"+digits(batch.ID))
	owner.finds(true, fileOperations[2:], o.file.ID)
}

// TestRetriesOfTenants: what an SDK repeats is the tenant's own, and the same request.
func TestRetriesOfTenants(t *testing.T) {
	t.Parallel()
	s := sdktest.Start(t, "", "")
	made := map[string]string{}
	for _, c := range []struct{ name, tenant, path, body string }{
		{"first", "owner", "/v1/chat/completions", chatBody},
		{"another tenant's", "other", "/v1/chat/completions", chatBody},
		{"streamed", "owner", "/v1/chat/completions", strings.Replace(chatBody, "{", `{"stream":true,`, 1)},
		{"another user's", "owner", "/v1/chat/completions", strings.Replace(chatBody, "{", `{"user":"u",`, 1)},
		{"with metadata", "owner", "/v1/chat/completions", strings.Replace(chatBody, "{", `{"metadata":{"a":"b"},`, 1)},
		{"another model's", "owner", "/v1/chat/completions", strings.Replace(chatBody, "default", "openai/sim-1", 1)},
		{"of Messages", "owner", "/v1/messages", strings.Replace(chatBody, "{", `{"max_tokens":9,`, 1)},
		{"of a user of Messages", "owner", "/v1/messages", strings.Replace(chatBody, "{", `{"max_tokens":9,"metadata":{"user_id":"u"},`, 1)},
		{"of Responses", "owner", "/v1/responses", `{"model":"default","input":"x"}`},
		{"not kept", "owner", "/v1/responses", `{"model":"default","input":"x","store":false}`},
		{"in the background", "owner", "/v1/responses", `{"model":"default","input":"x","background":true}`},
	} {
		status, header, answer := caller{t, s.URL, c.tenant}.do("POST", c.path, c.body, "X-Stainless-Retry-Count", "1")
		job := header.Get("Penstock-Job")
		if status != http.StatusOK || job == "" || made[job] != "" {
			t.Errorf("%s: got %d %s, job %q, which is that %q: %s", c.name, status, header, job, made[job], answer)
		}
		made[job] = c.name
	}
}
