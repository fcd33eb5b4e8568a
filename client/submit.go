package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// NewJob is what is asked for. Zero fields are left to Penstock.
type NewJob struct {
	// Request is the endpoint's body: a [json.RawMessage], or a value that becomes a JSON
	// object. Its model is a route, or provider/model.
	Request any
	// Endpoint is whose body that is; empty: /v1/chat/completions.
	Endpoint string
	Priority Priority
	// Deadline, or Timeout from the submission on, is when the job expires; at most one is
	// set. Neither is 24 h.
	Deadline time.Time
	Timeout  time.Duration
	// NoDedupe keeps the job from joining an equal request that is under way.
	NoDedupe bool
	Cache    Cache
	// Sample asks for another answer to an equal request.
	Sample int
	// Ephemeral drops request and answer once the answer was delivered.
	Ephemeral     bool
	OnUnavailable OnUnavailable
	UseCase       string
	User          string
	// Webhook is a URL that is told of the job's end.
	Webhook  string
	Metadata map[string]string
	// IdempotencyKey names the submission for 24 hours: with the same key and fields it is
	// the same job, however often it is submitted. Empty: one is made for the repetitions
	// of this one call.
	IdempotencyKey string
}

// Cache says what becomes of earlier answers to equal requests, and of this one.
type Cache struct {
	// MaxAge is how old an answer may be to be taken.
	MaxAge time.Duration
	// StaleWhileRevalidate and StaleIfError are how much older: while a new one is asked
	// for, or when none can be had (RFC 5861).
	StaleWhileRevalidate time.Duration
	StaleIfError         time.Duration
	// NoStore keeps the answer from being taken for later jobs.
	NoStore bool
}

// Submit has a job done and returns it as it is then: queued as a rule. After nil it is
// kept, whatever crashes.
func (c *Client) Submit(ctx context.Context, n NewJob) (Job, error) {
	body, err := json.Marshal(n.wire())
	if err != nil {
		return Job{}, fmt.Errorf("client: make the body of a job: %w", err)
	}
	var job Job
	return job, c.ask(ctx, request{
		method: http.MethodPost, path: jobsPath, body: body, header: idempotent(n.IdempotencyKey),
	}, &job)
}

// idempotent returns the header that lets a submission be repeated.
func idempotent(key string) http.Header {
	if key == "" {
		key = uuid.NewString()
	}
	return http.Header{"Idempotency-Key": {key}}
}

// newJobJSON is the body of a submission.
type newJobJSON struct {
	Request any `json:"request"`

	policyJSON

	Sample   int               `json:"sample,omitempty"`
	Store    *bool             `json:"store,omitempty"`
	Webhook  *webhookJSON      `json:"webhook,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// policyJSON is what can be said of a job, and of all jobs of a batch.
type policyJSON struct {
	Endpoint      string        `json:"endpoint,omitempty"`
	Priority      Priority      `json:"priority,omitempty"`
	Deadline      time.Time     `json:"deadline,omitzero"`
	Timeout       duration      `json:"timeout,omitempty"`
	Dedupe        *bool         `json:"dedupe,omitempty"`
	Cache         *cacheJSON    `json:"cache,omitempty"`
	OnUnavailable OnUnavailable `json:"on_unavailable,omitempty"`
	UseCase       string        `json:"use_case,omitempty"`
	User          string        `json:"user,omitempty"`
}

type cacheJSON struct {
	MaxAge               duration `json:"max_age,omitempty"`
	StaleWhileRevalidate duration `json:"stale_while_revalidate,omitempty"`
	StaleIfError         duration `json:"stale_if_error,omitempty"`
	NoStore              bool     `json:"no_store,omitempty"`
}

type webhookJSON struct {
	URL string `json:"url"`
}

// duration is written as the API reads it, such as 1m30s.
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (n NewJob) wire() newJobJSON {
	w := newJobJSON{
		Request: n.Request,
		policyJSON: policyJSON{
			Endpoint: n.Endpoint, Priority: n.Priority, Deadline: n.Deadline, Timeout: duration(n.Timeout),
			Dedupe: unless(n.NoDedupe), Cache: n.Cache.wire(), OnUnavailable: n.OnUnavailable, UseCase: n.UseCase, User: n.User,
		},
		Sample: n.Sample, Store: unless(n.Ephemeral), Metadata: n.Metadata,
	}
	if n.Webhook != "" {
		w.Webhook = &webhookJSON{URL: n.Webhook}
	}
	return w
}

func (c Cache) wire() *cacheJSON {
	if c == (Cache{}) {
		return nil
	}
	return &cacheJSON{
		MaxAge: duration(c.MaxAge), StaleWhileRevalidate: duration(c.StaleWhileRevalidate),
		StaleIfError: duration(c.StaleIfError), NoStore: c.NoStore,
	}
}

// unless returns false if not is said, and nothing else.
func unless(not bool) *bool {
	if !not {
		return nil
	}
	return new(false)
}
