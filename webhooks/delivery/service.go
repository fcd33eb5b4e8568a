package delivery

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/guard"
)

// Service is what the API does with endpoints, deliveries and replays. Its errors are
// *[jobs.Error], joined if several fields are wrong, or those of the store. It is safe
// for use by many goroutines.
type Service struct {
	store   EndpointStore
	guard   *guard.Guard
	changed func(ctx context.Context, endpoints ...uuid.UUID)
	// allowed are by tenant.
	allowed atomic.Pointer[map[string][]Allowed]
	// origins are the endpoints that stand for webhooks of jobs and are known to be there.
	origins remembered
}

// ServiceConfig says what a [Service] stands on. Store and Guard are required.
type ServiceConfig struct {
	Store EndpointStore
	// Guard says which addresses may be sent to.
	Guard *guard.Guard
	// Allowed is under which URLs a tenant's jobs may have webhooks of their own, by
	// tenant; see also [Service.SetAllowed].
	Allowed map[string][]Allowed
	// Changed is called when there may be something new to send to endpoints, or they are
	// not what they were; no names: any of them. nil: couriers find out by themselves.
	Changed func(ctx context.Context, endpoints ...uuid.UUID)
}

// NewService returns a service. An error names the field that is missing.
func NewService(cfg ServiceConfig) (*Service, error) {
	if cfg.Store == nil || cfg.Guard == nil {
		return nil, errors.New("delivery: Store and Guard are required")
	}
	if cfg.Changed == nil {
		cfg.Changed = func(context.Context, ...uuid.UUID) {}
	}
	s := &Service{store: cfg.Store, guard: cfg.Guard, changed: cfg.Changed}
	s.SetAllowed(cfg.Allowed)
	return s, nil
}

// Get returns an endpoint as it is.
func (s *Service) Get(ctx context.Context, tenant string, id uuid.UUID) (Watched, error) {
	w, err := s.store.Endpoint(ctx, tenant, id)
	return w, inWords(noEndpoint, err)
}

// List returns up to limit of the tenant's endpoints, newest first, after the given one,
// and whether there are more.
func (s *Service) List(ctx context.Context, tenant string, before uuid.UUID, limit int) (page []Watched, more bool, err error) {
	page, err = s.store.Endpoints(ctx, tenant, before, limit+1)
	if err != nil {
		return nil, false, err
	}
	return page[:min(limit, len(page))], len(page) > limit, nil
}

// Delete removes an endpoint with all that is its own. What is on its way to it arrives.
func (s *Service) Delete(ctx context.Context, tenant string, id uuid.UUID) error {
	w, err := s.Get(ctx, tenant, id)
	if err != nil {
		return err
	}
	if w.PerJob {
		return conflict("this endpoint stands for webhooks that jobs have themselves, and would be made again; disable it instead")
	}
	if err := s.store.DeleteEndpoint(ctx, tenant, id); err != nil {
		return inWords(noEndpoint, err)
	}
	s.changed(ctx, id)
	return nil
}

// now is the time as stores keep it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// What is not found.
const (
	noEndpoint = "no such webhook endpoint"
	noDelivery = "no such delivery"
	noReplay   = "no such replay"
)

// inWords puts what a store answers into words for a client; notFound is what it says
// of what is not there.
func inWords(notFound string, err error) error {
	switch {
	case errors.Is(err, jobs.ErrNotFound):
		return &jobs.Error{Code: jobs.CodeNotFound, Message: notFound}
	case errors.Is(err, ErrTooMany):
		return conflict("the tenant has as many webhook endpoints as there may be; delete one first")
	case errors.Is(err, ErrDisabled):
		return conflict("the endpoint is disabled, and nothing is sent to it; enable it first")
	case errors.Is(err, ErrChanged):
		return conflict("the endpoint is being changed by others at the same time; try again")
	case errors.Is(err, ErrSecretKeyMissing):
		return &jobs.Error{
			Code: jobs.CodeSecretKeyMissing,
			Message: "the secrets of webhooks are kept sealed, and there is no key to seal them with: " +
				"set PENSTOCK_SECRET_KEY, in all processes, to what `openssl rand -base64 32` prints",
		}
	default:
		return err
	}
}

func conflict(message string) error { return &jobs.Error{Code: jobs.CodeConflict, Message: message} }
