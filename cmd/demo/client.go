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

// endpoint makes an endpoint for webhooks in place of those of earlier demos, and
// returns its secret.
func (c *client) endpoint(ctx context.Context, url string) (secret string, err error) {
	var all struct {
		Data []struct {
			ID          string `json:"id"`
			Description string `json:"description"`
		} `json:"data"`
	}
	if err := c.ask(ctx, http.MethodGet, "/v1/webhook-endpoints?limit=100", nil, &all); err != nil {
		return "", err
	}
	for _, e := range all.Data {
		if e.Description != description {
			continue
		}
		if err := c.ask(ctx, http.MethodDelete, "/v1/webhook-endpoints/"+e.ID, nil, nil); err != nil {
			return "", err
		}
	}
	body, err := json.Marshal(map[string]any{"url": url, "types": []string{"job.*"}, "description": description})
	if err != nil {
		return "", err
	}
	var created struct {
		Secret string `json:"secret"`
	}
	err = c.ask(ctx, http.MethodPost, "/v1/webhook-endpoints", body, &created)
	return created.Secret, err
}

func (c *client) do(ctx context.Context, method, path string, body []byte) (j job, err error) {
	return j, c.ask(ctx, method, path, body, &j)
}

// ask makes one request and decodes the answer into the given value, if there is one.
func (c *client) ask(ctx context.Context, method, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}
