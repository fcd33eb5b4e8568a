package jobs

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/providers"
)

// Service is the use cases of the API: take a job in, tell how it stands, end
// it early. It is safe for use by many goroutines.
type Service struct {
	store   serviceStore
	signals Signals
	catalog *Catalog
	watcher *watcher
	// redactor is nil when all is kept as it was sent.
	redactor Redactor
	// checks are by provider; see WithChecks.
	checks atomic.Pointer[map[string]providers.Check]
	// inputTokens is nil for a quarter of the bytes; see WithInputTokens.
	inputTokens func(endpoint string, body []byte) int64
	// webhooks is nil where jobs can have none; see WithWebhooks.
	webhooks WebhookResolver
}

type serviceStore interface {
	SubmitStore
	ReadStore
}

// NewService returns a service over the given parts.
func NewService(store serviceStore, signals Signals, catalog *Catalog, options ...ServiceOption) *Service {
	s := &Service{store: store, signals: signals, catalog: catalog, watcher: newWatcher(store)}
	for _, option := range options {
		option(s)
	}
	return s
}

// Run wakes those who wait for jobs or watch them, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	var looking sync.WaitGroup
	defer looking.Wait()
	looking.Go(func() { s.watcher.run(ctx) })
	return s.signals.Listen(ctx, s.watcher.hear, SignalEnded)
}

// Watch wakes its holder when the job changes, in any process, as long as Run
// runs. The job must have been read as its tenant's.
func (s *Service) Watch(id uuid.UUID) *Watch { return s.watcher.join(id) }

// Job returns the tenant's job as it is, with what a queued one can expect, or
// [ErrNotFound].
func (s *Service) Job(ctx context.Context, tenant string, id uuid.UUID) (Job, error) {
	job, err := s.store.Job(ctx, tenant, id)
	if err != nil || job.Status != StatusQueued {
		return job, err
	}
	at := now()
	switch prospect, err := s.store.Prospect(ctx, job.ExecutionID, at); {
	case errors.Is(err, ErrNotFound): // it has just been claimed, or ended
		return s.store.Job(ctx, tenant, id)
	case err != nil:
		return Job{}, err
	default:
		prospect.tell(&job, at)
		return job, nil
	}
}

// Wait returns the job once it has ended, or as it is when atMost has passed or
// ctx has ended.
func (s *Service) Wait(ctx context.Context, tenant string, id uuid.UUID, atMost time.Duration) (Job, error) {
	watch := s.Watch(id)
	defer watch.Stop()
	over := time.NewTimer(atMost)
	defer over.Stop()
	// A caller that left is still owed the look that says how the job stands.
	look := context.WithoutCancel(ctx)
	for {
		job, err := s.store.Job(look, tenant, id)
		if err != nil || job.Status.Terminal() {
			return job, err
		}
		select {
		case <-watch.C:
		case <-over.C:
			return s.Job(look, tenant, id)
		case <-ctx.Done():
			return job, nil
		}
	}
}

// List returns up to q.Limit of the tenant's jobs, newest first, and whether
// there are more.
func (s *Service) List(ctx context.Context, q JobQuery) (page []Job, more bool, err error) {
	limit := q.Limit
	q.Limit++
	page, err = s.store.Jobs(ctx, q)
	if err != nil {
		return nil, false, err
	}
	if len(page) > limit {
		return page[:limit], true, nil
	}
	return page, false, nil
}

// Cancel ends the job as cancelled and returns it. A job that has ended already
// is returned as it ended. Other jobs that wait for the same execution go on;
// if there are none, a call under way is cut off.
func (s *Service) Cancel(ctx context.Context, tenant string, id uuid.UUID) (Job, error) {
	job, stopped, err := s.store.Cancel(ctx, tenant, id, now())
	if err != nil {
		return Job{}, err
	}
	s.send(ctx, Signal{Kind: SignalEnded, Jobs: []uuid.UUID{id}})
	if len(stopped) > 0 {
		executions := make([]uuid.UUID, len(stopped))
		for i, t := range stopped {
			executions[i] = t.Execution
		}
		s.send(ctx, Signal{Kind: SignalStopped, Executions: executions})
		s.send(ctx, Signal{Kind: SignalReady})
	}
	return job, nil
}

// Retry submits the request of a job that has ended again, as a new job with
// the same endpoint, model, priority, metadata, user, use case, webhook and
// [OnUnavailable], as ephemeral as it, told as a response if it was, and with a deadline
// as far away as the old one's was. A live job is [ErrNotEnded].
func (s *Service) Retry(ctx context.Context, tenant string, id uuid.UUID) (Submitted, error) {
	job, err := s.store.Job(ctx, tenant, id)
	if err != nil {
		return Submitted{}, err
	}
	if !job.Status.Terminal() {
		return Submitted{}, ErrNotEnded
	}
	request, err := s.store.Request(ctx, tenant, id)
	if err != nil {
		return Submitted{}, err
	}
	return s.Submit(ctx, NewJob{
		Tenant: tenant, Endpoint: request.Endpoint, Request: request.Body, Sample: request.Sample,
		Priority: job.Priority, Timeout: job.Deadline.Sub(job.CreatedAt), Metadata: job.Metadata, User: job.User,
		Ephemeral: job.Ephemeral, UseCase: job.UseCase, OnUnavailable: &job.OnUnavailable,
		Webhook: job.Webhook.URL, Response: job.Response,
	})
}

// Delete removes a job that has ended; a live one is [ErrLive]. The stored
// answer goes with the last job that has it.
func (s *Service) Delete(ctx context.Context, tenant string, id uuid.UUID) error {
	return s.store.Delete(ctx, tenant, id)
}

// Request returns what the job was submitted with; [ErrDropped] when it is no longer
// there.
func (s *Service) Request(ctx context.Context, tenant string, id uuid.UUID) (Request, error) {
	return s.store.Request(ctx, tenant, id)
}

// Calls lists the calls made for the job, oldest first.
func (s *Service) Calls(ctx context.Context, tenant string, id uuid.UUID) ([]Call, error) {
	return s.store.Calls(ctx, tenant, id)
}

// send wakes whom it may concern. A signal that is lost costs a poll interval,
// and what it tells of is in the store: its failure is nobody's.
func (s *Service) send(ctx context.Context, sig Signal) {
	_ = s.signals.Send(ctx, sig)
}
