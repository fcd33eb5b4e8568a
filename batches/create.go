package batches

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// DefaultWindow is how long a batch may take that does not say.
const DefaultWindow = "24h"

// New is a batch that a caller asks for.
type New struct {
	Tenant string
	// Endpoint is the path of the API whose bodies the lines have.
	Endpoint string
	// Input is the file of the lines.
	Input uuid.UUID
	// Window, such as 24h, and Deadline: at most one is set; neither means
	// [DefaultWindow].
	Window   string
	Deadline time.Time
	Policy   Policy
	Metadata map[string]string
	// OutputTTL is how long the files of the answers are kept once the batch has ended;
	// zero: as long as its jobs are.
	OutputTTL time.Duration
	// Repeat says whether it may be a submission that was made before.
	Repeat Repeat
}

// Bounds of [New].OutputTTL.
const (
	LeastOutputTTL = time.Hour
	MostOutputTTL  = 30 * 24 * time.Hour
)

// Create makes a batch, which is validating then, or returns the one that a submission
// made before that n repeats. Bad input is an *[jobs.Error] that names the field.
func (s *Service) Create(ctx context.Context, n New) (b Batch, replayed bool, err error) {
	b, err = n.batch(now())
	if err == nil {
		err = s.allowed(b)
	}
	if err != nil {
		return Batch{}, false, err
	}
	b, replayed, err = s.store.CreateBatch(ctx, b, n.Repeat)
	if err != nil {
		return Batch{}, false, err
	}
	s.wake(ctx, b.ID)
	return b, replayed, nil
}

// allowed says what is wrong with the policy and the metadata of b, which are bounded as
// those of a job.
func (s *Service) allowed(b Batch) error {
	if b.Policy.Concurrency < 0 {
		return jobs.Invalid("/concurrency", "must not be negative")
	}
	job := b.Job(nil)
	job.Metadata = b.Metadata
	return s.policy(job)
}

// batch returns what n asks for at a time.
func (n New) batch(at time.Time) (Batch, error) {
	if !slices.Contains(endpoints, n.Endpoint) {
		return Batch{}, jobs.Invalid("/endpoint", "must be %s, %s, %s or %s",
			providers.ChatCompletions, providers.Responses, providers.Embeddings, providers.Messages)
	}
	if n.Input == uuid.Nil {
		return Batch{}, jobs.Invalid("/input_file_id", "is required")
	}
	if n.OutputTTL != 0 && (n.OutputTTL < LeastOutputTTL || n.OutputTTL > MostOutputTTL) {
		return Batch{}, jobs.Invalid("/output_expires_after", "must be from %s to %s", LeastOutputTTL, MostOutputTTL)
	}
	window, err := n.window(at)
	if err != nil {
		return Batch{}, err
	}
	b := Batch{
		ID: newID(), Tenant: n.Tenant, Endpoint: n.Endpoint, Input: n.Input, Output: newID(), Errors: newID(),
		Status: StatusValidating, Policy: n.Policy, Metadata: n.Metadata, Window: window, CreatedAt: at,
		Deadline: n.Deadline.UTC().Truncate(time.Microsecond), OutputTTL: n.OutputTTL,
	}
	if n.Deadline.IsZero() {
		b.Deadline = at.Add(b.within())
	}
	return b, nil
}

var endpoints = []string{providers.ChatCompletions, providers.Responses, providers.Embeddings, providers.Messages}

// window returns in words how long the batch may take.
func (n New) window(at time.Time) (string, error) {
	if n.Deadline.IsZero() {
		if n.Window == "" {
			return DefaultWindow, nil
		}
		d, err := time.ParseDuration(n.Window)
		if err != nil || d <= 0 || d > jobs.MaxTimeout {
			return "", jobs.Invalid("/completion_window", "must be a duration of at most %s, such as 24h or 90m", jobs.MaxTimeout)
		}
		return n.Window, nil
	}
	left := n.Deadline.Sub(at)
	switch {
	case n.Window != "":
		return "", jobs.Invalid("/completion_window", "give either completion_window or deadline, not both")
	case left <= 0:
		return "", jobs.Invalid("/deadline", "has passed: it is now %s", at.Format(time.RFC3339))
	case left > jobs.MaxTimeout:
		return "", jobs.Invalid("/deadline", "must be at most %s away", jobs.MaxTimeout)
	}
	return max(left.Round(time.Second), time.Second).String(), nil
}

// within is Window as a duration.
func (b Batch) within() time.Duration {
	if d, err := time.ParseDuration(b.Window); err == nil {
		return d
	}
	return jobs.DefaultTimeout
}

// newID returns a UUIDv7, which sorts by the time it was made.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }
