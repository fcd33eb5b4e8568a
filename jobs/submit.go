package jobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs/canonical"
	"github.com/penstock-dev/penstock/providers"
)

// Bounds of what a job may ask for.
const (
	// DefaultTimeout is the time to the deadline of a job that names none.
	DefaultTimeout = 24 * time.Hour
	// MaxTimeout is how far away a deadline may be.
	MaxTimeout = 7 * 24 * time.Hour
	// MaxSample is the highest sample.
	MaxSample = 1_000_000

	maxAge           = 10 * 365 * 24 * time.Hour
	maxModel         = 256
	maxUser          = 256
	maxMetadata      = 16
	maxMetadataKey   = 64
	maxMetadataValue = 512
)

// NewJob is what a caller asks for.
type NewJob struct {
	Tenant string
	// Endpoint is empty for chat completions.
	Endpoint string
	// Request is the endpoint's own body, a JSON object.
	Request  json.RawMessage
	Priority Priority
	// Deadline and Timeout: at most one is set; neither means [DefaultTimeout].
	Deadline time.Time
	Timeout  time.Duration
	// NoDedupe keeps the job from sharing an execution with equal requests.
	NoDedupe bool
	// MaxAge is how old a copied answer may be; zero asks for a new one.
	MaxAge time.Duration
	// StaleWhileRevalidate is how much older than MaxAge a copied answer may be
	// if a new one is asked for as well, by a low-priority job of its own (RFC
	// 5861).
	StaleWhileRevalidate time.Duration
	// StaleIfError is how much older than MaxAge the answer may be that serves
	// the job if no new one can be had: its execution failed, or its deadline
	// passed (RFC 5861).
	StaleIfError time.Duration
	// NoStore keeps the answer from being copied for later jobs.
	NoStore bool
	// OnUnavailable is what to do when no target can be called; nil: what the route
	// says.
	OnUnavailable *OnUnavailable
	// Ephemeral drops request and answer once the answer was delivered, or
	// [EphemeralHold] after the end. It implies NoStore.
	Ephemeral bool
	// Sample asks for a different answer to an equal prompt.
	Sample   int
	Metadata map[string]string
	User     string
	// UseCase is what the job is for; empty: what the route says.
	UseCase string
	// Webhook is the URL that is told of the job's end; empty: none is.
	Webhook string
	// Batch is the batch that the job is of; nil: of none. The end of a batch's job is
	// told to no endpoint.
	Batch uuid.UUID
	// Response says that the end is told as that of a response, too: see [Job].
	Response bool
	// IdempotencyKey is empty when the caller gave none; Fingerprint is the
	// SHA-256 of the whole submission.
	IdempotencyKey string
	Fingerprint    [32]byte
	// Within and Renew are those of [Idempotency].
	Within time.Duration
	Renew  bool
}

// Submit keeps the job and returns it as it is then: queued, attached to an
// execution under way, or already succeeded from an earlier answer. After nil
// no crash loses it. Bad input is an *[Error] that names the field.
//
// With a [Redactor] what is kept is what it returns. When it fails nothing is
// kept, and the error has code [CodeRedactionUnavailable].
func (s *Service) Submit(ctx context.Context, n NewJob) (Submitted, error) {
	n, err := s.redacted(ctx, n)
	if err != nil {
		return Submitted{}, err
	}
	return s.submit(ctx, n)
}

// submit is Submit for what is redacted already.
func (s *Service) submit(ctx context.Context, n NewJob) (Submitted, error) {
	at := now()
	sub, err := s.submission(n, at)
	if err == nil {
		sub.Job.Webhook, err = s.webhook(ctx, n)
	}
	if err != nil {
		return s.replay(ctx, n, at, err)
	}
	done, err := s.store.Submit(ctx, sub)
	if err != nil {
		return Submitted{}, err
	}
	if done.Ready {
		s.send(ctx, Signal{Kind: SignalReady})
	}
	if n.StaleWhileRevalidate > 0 && done.Job.Cached && done.Job.Age > n.MaxAge && !done.Replayed {
		s.revalidate(ctx, n, done.Job, at)
	}
	return done, nil
}

// refreshKey begins the idempotency keys of revalidations. A caller's key has
// no space.
const refreshKey = "penstock refresh "

// revalidate asks for a new answer in place of the stale one that served. However
// many are served, there is one such job a minute, and while it runs those of
// later minutes attach to it. Nobody waits for it: if it cannot be made, the
// next stale answer tries again.
func (s *Service) revalidate(ctx context.Context, n NewJob, served Job, at time.Time) {
	_, _ = s.submit(ctx, NewJob{
		Tenant: n.Tenant, Endpoint: n.Endpoint, Request: n.Request, Sample: n.Sample, User: n.User, UseCase: n.UseCase,
		Priority: PriorityLow, Metadata: map[string]string{"refreshes": served.ID.String()},
		IdempotencyKey: refreshKey + served.RequestHash + at.Format(" 2006-01-02T15:04"),
		Fingerprint:    sha256.Sum256([]byte(served.RequestHash)),
		OnUnavailable:  new(OnUnavailableWait),
	})
}

// replay answers a submission that is invalid by now. What was accepted once
// stays so under its key: its deadline may have passed since, its route may be
// gone.
func (s *Service) replay(ctx context.Context, n NewJob, at time.Time, invalid error) (Submitted, error) {
	if n.IdempotencyKey == "" || n.Renew {
		return Submitted{}, invalid
	}
	job, err := s.store.Replay(ctx, n.Tenant, n.idempotency(), at)
	if errors.Is(err, ErrNotFound) {
		return Submitted{}, invalid
	}
	if err != nil {
		return Submitted{}, err
	}
	return Submitted{Job: job, Replayed: true}, nil
}

// submission validates n, gives ids and takes the hash.
func (s *Service) submission(n NewJob, at time.Time) (Submission, error) {
	c, err := s.check(n)
	if err != nil {
		return Submission{}, err
	}
	deadline, err := n.deadline(at)
	if err != nil {
		return Submission{}, err
	}
	sub := Submission{
		Job: Job{
			ID: newID(), Tenant: n.Tenant, Endpoint: c.request.Endpoint, Model: c.model, Priority: n.Priority,
			Deadline: deadline, CreatedAt: at, RequestHash: hex.EncodeToString(c.hash[:]), Metadata: n.Metadata, User: n.User,
			Ephemeral: n.Ephemeral, UseCase: c.useCase, OnUnavailable: c.route.OnUnavailable, Batch: n.Batch,
			Response: n.Response,
		},
		Request:   c.request,
		Execution: newID(),
		Dedupe:    !n.NoDedupe,
		MaxAge:    n.MaxAge + n.StaleWhileRevalidate,
		CopyFirst: n.StaleWhileRevalidate > 0,
		NoStore:   n.NoStore || n.Ephemeral,
	}
	if n.OnUnavailable != nil {
		sub.Job.OnUnavailable = *n.OnUnavailable
	}
	if n.StaleIfError > 0 {
		sub.StaleIfError = n.MaxAge + n.StaleIfError
	}
	if n.IdempotencyKey != "" {
		sub.Idempotency = new(n.idempotency())
	}
	return sub, nil
}

func (n NewJob) idempotency() Idempotency {
	return Idempotency{Key: n.IdempotencyKey, Fingerprint: n.Fingerprint, Within: n.Within, Renew: n.Renew}
}

func (b body) validate(endpoint string) error {
	if b.Model == nil || *b.Model == "" {
		return Invalid("/request/model", "is required: the name of a route, or provider/model")
	}
	if len(*b.Model) > maxModel {
		return Invalid("/request/model", "must be at most %d bytes", maxModel)
	}
	switch endpoint {
	case providers.ChatCompletions:
		return b.validateMessages()
	case providers.Messages:
		if b.MaxTokens == nil {
			return Invalid("/request/max_tokens", "is required: the most tokens that the answer may have")
		}
		return b.validateMessages()
	case providers.Embeddings, providers.Responses:
		if len(b.Input) == 0 || strings.ContainsRune("{tfn0123456789-", rune(b.Input[0])) {
			return Invalid("/request/input", "must be a string or an array")
		}
		return nil
	default:
		return Invalid("/endpoint", "must be %s, %s, %s or %s",
			providers.ChatCompletions, providers.Embeddings, providers.Responses, providers.Messages)
	}
}

func (b body) validateMessages() error {
	if !bytes.HasPrefix(b.Messages, []byte("[")) || string(b.Messages) == "[]" {
		return Invalid("/request/messages", "must be an array with at least one message")
	}
	return nil
}

// WithInputTokens estimates the input of requests, for a fair share of what is
// counted in tokens. It is called at each submission, so it should be quick.
func WithInputTokens(estimate func(endpoint string, body []byte) int64) ServiceOption {
	return func(s *Service) { s.inputTokens = estimate }
}

// input estimates the tokens of a request: a quarter of its bytes, if nobody
// knows better.
func (s *Service) input(r Request) int64 {
	if s.inputTokens == nil {
		return int64(len(r.Body) / 4)
	}
	return max(0, s.inputTokens(r.Endpoint, r.Body))
}

// cost adds to the input tokens what may come out, which of embeddings is
// nothing.
func (b body) cost(endpoint string, input int64) int64 {
	const usualAnswer, most = 256, 1 << 20
	out := int64(usualAnswer)
	for _, limit := range []*int64{b.MaxTokens, b.MaxCompletionTokens, b.MaxOutputTokens} {
		if limit != nil {
			out = max(0, *limit)
		}
	}
	if endpoint == providers.Embeddings {
		out = 0
	}
	return 1 + input + min(out, most)
}

func (n NewJob) deadline(at time.Time) (time.Time, error) {
	switch {
	case n.Timeout != 0 && !n.Deadline.IsZero():
		return time.Time{}, Invalid("/timeout", "give either deadline or timeout, not both")
	case n.Timeout < 0 || n.Timeout > MaxTimeout:
		return time.Time{}, Invalid("/timeout", "must be more than zero and at most %s", MaxTimeout)
	case n.Timeout > 0:
		return at.Add(n.Timeout).Truncate(time.Microsecond), nil
	case n.Deadline.IsZero():
		return at.Add(DefaultTimeout), nil
	case !n.Deadline.After(at):
		return time.Time{}, Invalid("/deadline", "has passed: it is now %s", at.Format(time.RFC3339))
	case n.Deadline.After(at.Add(MaxTimeout)):
		return time.Time{}, Invalid("/deadline", "must be at most %s away", MaxTimeout)
	default:
		return n.Deadline.UTC().Truncate(time.Microsecond), nil
	}
}

func (n NewJob) validate() error {
	switch {
	case n.Sample < 0 || n.Sample > MaxSample:
		return Invalid("/sample", "must be between 0 and %d", MaxSample)
	case n.MaxAge < 0:
		return Invalid("/cache/max_age", "must not be negative")
	case n.StaleWhileRevalidate < 0:
		return Invalid("/cache/stale_while_revalidate", "must not be negative")
	case n.StaleIfError < 0:
		return Invalid("/cache/stale_if_error", "must not be negative")
	case n.StaleWhileRevalidate > 0 && (n.NoStore || n.Ephemeral):
		return Invalid("/cache/stale_while_revalidate",
			"makes no sense with no_store or store: false: a new answer would not be kept")
	case max(n.MaxAge, n.StaleWhileRevalidate, n.StaleIfError) > maxAge:
		return Invalid("/cache", "ages must be at most %s", maxAge)
	case len(n.User) > maxUser || strings.ContainsRune(n.User, 0):
		return Invalid("/user", "must be at most %d bytes, without NUL", maxUser)
	case len(n.Metadata) > maxMetadata:
		return Invalid("/metadata", "must have at most %d pairs", maxMetadata)
	}
	for k, v := range n.Metadata {
		switch {
		case k == "" || utf8.RuneCountInString(k) > maxMetadataKey:
			return Invalid("/metadata", "keys must have 1 to %d characters", maxMetadataKey)
		case utf8.RuneCountInString(v) > maxMetadataValue:
			return Invalid(canonical.Pointer("metadata", k), "must be at most %d characters", maxMetadataValue)
		case strings.ContainsRune(k+v, 0):
			return Invalid("/metadata", "must not hold NUL characters")
		}
	}
	return nil
}

// newID returns a UUIDv7, which sorts by the time it was made.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// now is the time as stores keep it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
