package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/e2e/history"
	"github.com/penstock-dev/penstock/internal/surface"
)

// order is a batch that a client wants.
type order struct {
	history.Batch

	way way
	// requests are the bodies of its lines.
	requests []string
	// blanks are those that a line has besides, in a file.
	blanks int
	// concurrency is how many lines may be jobs at a time; OpenAI knows nothing of it.
	concurrency int
	// after is when it is submitted, cancelAfter when its client changes its mind after
	// that; zero: never.
	after, cancelAfter time.Duration
}

// way is how a batch is submitted.
type way int

const (
	// inline has the requests in the submission, uploaded a file, openAI a file and the
	// words of OpenAI's SDK.
	inline way = iota
	uploaded
	openAI
	ways
)

// drawBatches makes batches of so many lines, which are submitted as faults strike, each
// in another way. The last is cancelled.
func drawBatches(p plan) []order {
	draws := rand.New(rand.NewPCG(p.seed, 3))
	all := make([]order, p.batches)
	for i := range all {
		o := drawBatch(draws, "batch-"+strconv.Itoa(i), p.lines)
		o.way = way(i) % ways
		if n := len(p.strikes); i > 0 && n > 0 {
			o.after = p.strikes[i%n].after - time.Duration(draws.IntN(100))*time.Millisecond
		}
		if o.Cancelled = i > 0 && i == len(all)-1; o.Cancelled {
			o.cancelAfter = time.Duration(p.hurry * float64(10*time.Second))
		}
		all[i] = o
	}
	return all
}

// drawBatch makes a batch of equal and distinct lines, of which some are wrong.
func drawBatch(draws *rand.Rand, name string, lines int) order {
	o := order{Batch: history.Batch{Name: name, Tenant: []string{"acme", "acme", "beta", "core"}[draws.IntN(4)]}}
	for i := range lines {
		content, choices := fmt.Sprintf("%s%s no. %d", prompt, name, i), 1
		if draws.IntN(4) == 0 {
			content = prompt + name + ", again and again " + strconv.Itoa(draws.IntN(8))
		}
		l := history.Line{CustomID: fmt.Sprintf("%s/%d", name, i), Wrong: draws.IntN(25) == 0}
		if l.Wrong {
			choices = tooManyChoices
		}
		o.Lines = append(o.Lines, l)
		o.requests = append(o.requests, fmt.Sprintf(
			`{"model":"default","messages":[{"role":"user","content":%q}],"max_tokens":8,"n":%d}`, content, choices))
	}
	return o
}

// tooManyChoices is what the provider refuses.
const tooManyChoices = 1000

// submission returns what is asked for of which API; file is that of the lines.
func (o order) submission(file string) (path, body string) {
	switch o.way {
	case inline:
		requests := make([]string, len(o.Lines))
		for i, l := range o.Lines {
			requests[i] = fmt.Sprintf(`{"custom_id":%q,"request":%s}`, l.CustomID, o.requests[i])
		}
		return "/v1/job-batches", fmt.Sprintf(`{%s,"requests":[%s]}`, o.options(), strings.Join(requests, ","))
	case uploaded:
		return "/v1/job-batches", fmt.Sprintf(`{%s,"input_file_id":%q}`, o.options(), file)
	default:
		return "/v1/batches", fmt.Sprintf(
			`{"endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"name":%q},"input_file_id":%q}`, o.Name, file)
	}
}

// options are what we know of a batch, and OpenAI does not.
func (o order) options() string {
	return fmt.Sprintf(`"priority":"high","concurrency":%d,"metadata":{"name":%q}`, cmp.Or(o.concurrency, 2000), o.Name)
}

// file is the lines as they are uploaded.
func (o order) file() string {
	var b strings.Builder
	blanks := strings.Repeat(" ", o.blanks)
	for i, l := range o.Lines {
		fmt.Fprintf(&b, `{"custom_id":%q,"method":"POST","url":"/v1/chat/completions",%s"body":%s}`+"\n", l.CustomID, blanks, o.requests[i])
	}
	return b.String()
}

// form is an upload of a file of lines.
func form(t *testing.T, name, lines string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("file", name)
	if err == nil {
		_, err = io.WriteString(part, lines)
	}
	for _, failed := range []error{err, w.WriteField("purpose", "batch"), w.Close()} {
		if failed != nil {
			t.Fatal(failed)
		}
	}
	return b.String(), w.FormDataContentType()
}

// insistBatch submits a batch, and repeats what it asks for until that is accepted: the
// submission by its key, or as OpenAI's SDK repeats one, the upload as if it were another.
func (c *traffic) insistBatch(ctx context.Context, o order) {
	c.mu.Lock()
	c.seen.Batches = append(c.seen.Batches, o.Batch)
	c.mu.Unlock()
	file := ""
	if o.way != inline {
		body, contentType := form(c.f.t, o.Name+".jsonl", o.file())
		a, ok := c.repeat(ctx, o.Name+".jsonl", func(api *node, _ int) (answer, error) {
			return c.request(ctx, api, &c.seen.Uploads, o.Name+".jsonl", o.Tenant, "/v1/files", body, "Content-Type", contentType)
		})
		if !ok {
			return
		}
		file = a.ID
	}
	path, body := o.submission(file)
	a, ok := c.repeat(ctx, o.Name, func(api *node, again int) (answer, error) {
		name := []string{"Idempotency-Key", o.Name}
		if o.way == openAI {
			name = []string{"X-Stainless-Retry-Count", strconv.Itoa(again)}
		}
		return c.request(ctx, api, &c.seen.BatchSubmissions, o.Name, o.Tenant, path, body, name...)
	})
	if !ok {
		return
	}
	c.mu.Lock()
	c.batches = append(c.batches, knownBatch{plain(a.ID), o.Tenant})
	c.mu.Unlock()
	if o.Cancelled {
		pause(ctx, o.cancelAfter)
		c.repeat(ctx, "cancel "+o.Name, func(api *node, _ int) (answer, error) {
			return c.f.ask(ctx, api, http.MethodPost, "/v1/job-batches/"+a.ID+"/cancel", "", "Penstock-Tenant", o.Tenant)
		})
	}
}

// request makes one request, and notes it in to. An answer that is lost is none.
func (c *traffic) request(
	ctx context.Context, api *node, to *[]history.Submission, key, tenant, path, body string, header ...string,
) (answer, error) {
	try := history.Submission{Key: key, Tenant: tenant, API: api.name, Sent: time.Now()}
	a, err := c.f.ask(ctx, api, http.MethodPost, path, body, append(header, "Penstock-Tenant", tenant)...)
	if c.loses != nil && c.loses(key) {
		err = errors.New("the answer was lost")
	}
	if try.Answered = time.Now(); err == nil {
		try.Status, try.Code, try.RetryAfter, try.Job = a.status, a.code, a.retryAfter, plain(a.ID)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	*to = append(*to, try)
	return a, err
}

// plain is an id as we write it, of one as another's clients know it.
func plain(id string) string {
	known, err := surface.ParseID(id)
	if err != nil {
		return id
	}
	return known.String()
}

// knownBatch is a batch that was accepted.
type knownBatch struct{ id, tenant string }

// watchBatches looks at batches at random until ctx ends, ended ones too.
func (c *traffic) watchBatches(ctx context.Context) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c.mu.Lock()
		all := slices.Clone(c.batches)
		c.mu.Unlock()
		if len(all) > 0 {
			c.lookAtBatch(ctx, all[rand.IntN(len(all))])
		}
	}
}

// lookAtBatch notes what is told of a batch and of its lines.
func (c *traffic) lookAtBatch(ctx context.Context, b knownBatch) {
	told, status, err := c.f.batch(ctx, c.anyAPI(), b)
	s := history.BatchSighting{Batch: b.id, Status: told.Status, Counts: told.Counts}
	switch {
	case err == nil && status == http.StatusNotFound:
		s.Status = history.Missing
	case err != nil || status != http.StatusOK:
		return
	default:
		s.Results, _ = c.f.results(ctx, c.anyAPI(), b) // what is cut is asked for again another time
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.BatchSightings = append(c.seen.BatchSightings, s)
}

// toldBatch is what the tests look at of a batch.
type toldBatch struct {
	ID         string            `json:"id"`
	Status     string            `json:"status"`
	Metadata   map[string]string `json:"metadata"`
	Counts     history.Counts    `json:"counts"`
	OutputFile string            `json:"output_file_id"`
	ErrorFile  string            `json:"error_file_id"`
	Read       struct {
		Lines int `json:"lines"`
	} `json:"read"`
}

func (b toldBatch) done() bool {
	return slices.Contains([]string{"completed", "failed", "expired", "cancelled"}, b.Status)
}

// ended is how many lines have.
func (b toldBatch) ended() int {
	c := b.Counts
	return c.Succeeded + c.Failed + c.Cancelled + c.Expired
}

func (f *fleet) batch(ctx context.Context, api *node, b knownBatch) (told toldBatch, status int, err error) {
	status, err = f.askInto(ctx, api, &told, http.MethodGet, "/v1/job-batches/"+b.id, "", "Penstock-Tenant", b.tenant)
	return told, status, err
}

// results reads the lines of a batch that have ended.
func (f *fleet) results(ctx context.Context, api *node, b knownBatch) ([]history.Answer, error) {
	type line struct {
		CustomID string          `json:"custom_id"`
		Status   string          `json:"status"`
		Job      string          `json:"job_id"`
		Result   json.RawMessage `json:"result"`
		Error    *struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	answers := []history.Answer{}
	err := readLines(ctx, f, api, "/v1/job-batches/"+b.id+"/results", b.tenant, func(l line) {
		a := history.Answer{CustomID: l.CustomID, Status: l.Status, Job: l.Job}
		if l.Error != nil {
			a.Outcome = l.Error.Code
		} else {
			a.Outcome = digest(l.Result)
		}
		answers = append(answers, a)
	})
	if err != nil {
		return nil, err
	}
	return answers, nil
}

// customIDs reads which lines a file of answers has.
func (f *fleet) customIDs(ctx context.Context, api *node, file, tenant string) (ids []string, err error) {
	type line struct {
		CustomID string `json:"custom_id"`
	}
	err = readLines(ctx, f, api, "/v1/files/"+file+"/content", tenant, func(l line) { ids = append(ids, l.CustomID) })
	return ids, err
}

// readLines reads an answer that is lines of JSON as it comes, to its end.
func readLines[T any](ctx context.Context, f *fleet, api *node, path, tenant string, each func(T)) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+api.addr+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Penstock-Tenant", tenant)
	resp, err := f.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	for dec := json.NewDecoder(resp.Body); ; {
		var line T
		switch err := dec.Decode(&line); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("GET %s: %w", path, err)
		}
		each(line)
	}
}

// kept reads all batches of the tenants as they are told of.
func (f *fleet) kept(ctx context.Context, api *node, tenants ...string) (all []history.KeptBatch, err error) {
	for _, tenant := range tenants {
		for path := "/v1/job-batches?limit=3"; path != ""; { // a few pages
			var page struct {
				Data []toldBatch `json:"data"`
				Next string      `json:"next_cursor"`
			}
			status, err := f.askInto(ctx, api, &page, http.MethodGet, path, "", "Penstock-Tenant", tenant)
			if err != nil || status != http.StatusOK {
				return nil, fmt.Errorf("list batches: %d, %w", status, err)
			}
			for _, b := range page.Data {
				kept, err := f.keptBatch(ctx, api, b, tenant)
				if err != nil {
					return nil, err
				}
				all = append(all, kept)
			}
			if path = ""; page.Next != "" {
				path = "/v1/job-batches?limit=3&cursor=" + page.Next
			}
		}
	}
	return all, nil
}

func (f *fleet) keptBatch(ctx context.Context, api *node, b toldBatch, tenant string) (kept history.KeptBatch, err error) {
	kept = history.KeptBatch{ID: b.ID, Tenant: tenant, Name: b.Metadata["name"], Status: b.Status, Counts: b.Counts}
	if kept.Results, err = f.results(ctx, api, knownBatch{b.ID, tenant}); err != nil {
		return kept, err
	}
	if kept.Output, err = f.customIDs(ctx, api, b.OutputFile, tenant); err != nil {
		return kept, err
	}
	kept.Errors, err = f.customIDs(ctx, api, b.ErrorFile, tenant)
	return kept, err
}
