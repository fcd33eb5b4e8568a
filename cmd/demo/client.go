package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// line is a line of an OpenAI batch input file.
type line struct {
	CustomID string          `json:"custom_id"`
	URL      string          `json:"url"`
	Body     json.RawMessage `json:"body"`
}

func readLines(r io.Reader) ([]line, error) {
	var lines []line
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var l line
		if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("read prompt %d: %w", len(lines)+1, err)
		}
		lines = append(lines, l)
	}
	return lines, scanner.Err()
}

// job is what the demo looks at of a job.
type job struct {
	ID           string     `json:"id"`
	Status       string     `json:"status"`
	Provider     string     `json:"provider"`
	Deduplicated bool       `json:"deduplicated"`
	CreatedAt    time.Time  `json:"created_at"`
	FinishedAt   *time.Time `json:"finished_at"`
	Usage        *struct {
		InputTokens  int64 `json:"input_tokens"`
		OutputTokens int64 `json:"output_tokens"`
	} `json:"usage"`
	Error *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func (j job) done() bool { return j.Status != "queued" && j.Status != "running" }

// client speaks to the public API and nothing else.
type client struct {
	base string
	http *http.Client
}

func (c *client) submit(ctx context.Context, l line) (job, error) {
	body, err := json.Marshal(map[string]any{
		"request": l.Body, "endpoint": l.URL, "metadata": map[string]string{"custom_id": l.CustomID},
	})
	if err != nil {
		return job{}, err
	}
	return c.do(ctx, http.MethodPost, "/v1/jobs", body)
}

func (c *client) job(ctx context.Context, id string) (job, error) {
	return c.do(ctx, http.MethodGet, "/v1/jobs/"+id, nil)
}

func (c *client) do(ctx context.Context, method, path string, body []byte) (job, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return job{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return job{}, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return job{}, err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return job{}, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	var j job
	return j, json.Unmarshal(answer, &j)
}
