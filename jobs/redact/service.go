package redact

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

const (
	defaultTimeout = 5 * time.Second
	// MaxTimeout leaves the store its time within that of a request.
	MaxTimeout = 20 * time.Second
	// connections bounds those to the service. Who finds them all in use waits,
	// within the timeout.
	connections = 64
	// maxGrowth and spare bound an answer: so many times what was sent, and so
	// many bytes more.
	maxGrowth = 4
	spare     = 64 << 10
)

// ServiceConfig says which service is asked, and how.
type ServiceConfig struct {
	// URL is where submissions are posted to: http or https. It is asked directly,
	// through no proxy, and its redirects are not followed.
	URL string
	// APIKey is sent as bearer token; empty sends none.
	APIKey string
	// Timeout bounds one question; default 5 s, at most [MaxTimeout].
	Timeout time.Duration
}

// Service is a [jobs.Redactor] that asks a service of the operator's. It posts
//
//	{"tenant": …, "endpoint": …, "request": {…}, "metadata": {…}, "user": …}
//
// and wants status 200 with what may be kept, all three of it:
//
//	{"request": {…}, "metadata": {…}, "user": …}
//
// Anything else is a failure: another status, a redirect, an answer that is late,
// longer than four times the question and 64 KiB, incomplete or more than that.
// It is not asked again.
type Service struct {
	url, key string
	timeout  time.Duration
	client   *http.Client
}

var _ jobs.Redactor = (*Service)(nil)

// NewService returns a service; Close ends its connections.
func NewService(c ServiceConfig) (*Service, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("url: want such as https://redact.internal/v1")
	}
	if c.Timeout < 0 || c.Timeout > MaxTimeout {
		return nil, fmt.Errorf("timeout %v: want more than zero and at most %v, or 0 for %v",
			c.Timeout, MaxTimeout, defaultTimeout)
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	return &Service{url: c.URL, key: c.APIKey, timeout: c.Timeout, client: &http.Client{
		Transport: &http.Transport{
			MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections, IdleConnTimeout: time.Minute,
			ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close ends the connections that are not in use.
func (s *Service) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

// question and answer are what goes over the wire.
type question struct {
	Tenant   string            `json:"tenant"`
	Endpoint string            `json:"endpoint"`
	Request  json.RawMessage   `json:"request"`
	Metadata map[string]string `json:"metadata"`
	User     string            `json:"user"`
}

type answer struct {
	Request  json.RawMessage    `json:"request"`
	Metadata *map[string]string `json:"metadata"`
	User     *string            `json:"user"`
}

// Redact asks the service: see [jobs.Redactor].
func (s *Service) Redact(ctx context.Context, sent jobs.Sent) (jobs.Sent, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	q := question(sent)
	if q.Metadata == nil {
		q.Metadata = map[string]string{}
	}
	body, err := json.Marshal(q)
	if err != nil {
		return jobs.Sent{}, errors.New("the question to the redaction service cannot be encoded")
	}
	raw, err := s.ask(ctx, body)
	if err != nil {
		return jobs.Sent{}, fmt.Errorf("ask the redaction service: %w", err)
	}
	a, err := read(raw)
	if err != nil {
		return jobs.Sent{}, fmt.Errorf("the redaction service: %w", err)
	}
	sent.Request, sent.User = a.Request, *a.User
	if sent.Metadata != nil || len(*a.Metadata) > 0 {
		sent.Metadata = *a.Metadata
	}
	return sent, nil
}

// ask posts the body and returns the answer's. Its errors say neither.
func (s *Service) ask(ctx context.Context, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return nil, withoutURL(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if s.key != "" {
		req.Header.Set("Authorization", "Bearer "+s.key)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered with status %d", resp.StatusCode)
	}
	limit := int64(maxGrowth*len(body) + spare)
	raw, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("its answer is longer than %d bytes", limit)
	}
	return raw, nil
}

// withoutURL returns the cause: a URL may hold a password.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// read decodes an answer. Its errors quote nothing of it.
func read(raw []byte) (answer, error) {
	var a answer
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil {
		return answer{}, errors.New("its answer is not a JSON object of request, metadata and user")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return answer{}, errors.New("more follows after its answer")
	}
	if a.Request == nil || a.Metadata == nil || a.User == nil {
		return answer{}, errors.New("its answer lacks request, metadata or user")
	}
	return a, nil
}
