package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/guard"
)

// Change is what is said about an endpoint. Nil fields stay as they are; a zero value is
// what the endpoint has if nothing is said.
type Change struct {
	URL           *string
	Description   *string
	Types         *[]string
	Metadata      *map[string]string
	Timeout       *time.Duration
	PerMinute     *int
	Concurrency   *int
	Schedule      *Schedule
	Header        *map[string]string
	IncludeResult *bool
	Disabled      *bool
}

// Create keeps a new endpoint with its first secret, which is returned this once. It
// refuses all fields that are wrong together.
func (s *Service) Create(ctx context.Context, tenant string, c Change, signature Signature) (Watched, Secret, error) {
	at := now()
	e := c.apply(Endpoint{ID: newID(), Tenant: tenant, Version: 1, CreatedAt: at, ChangedAt: at}, at)
	secret, wrong := newSecret(tenant, e.ID, signature, at)
	if err := errors.Join(fields(e.Check(s.guard)), wrong); err != nil {
		return Watched{}, Secret{}, err
	}
	if err := s.store.CreateEndpoint(ctx, e, secret); err != nil {
		return Watched{}, Secret{}, inWords(noEndpoint, err)
	}
	s.changed(ctx, e.ID)
	return Watched{Endpoint: e, PublicKey: secret.PublicKey}, secret, nil
}

// maxUpdates is how often an update is tried again because another came between.
const maxUpdates = 5

// Update changes an endpoint, and nothing that is not said. One that is enabled again
// begins as if nothing had ever been sent to it.
func (s *Service) Update(ctx context.Context, tenant string, id uuid.UUID, c Change) (Watched, error) {
	err := ErrChanged
	for tries := 0; tries < maxUpdates && errors.Is(err, ErrChanged); tries++ {
		var w Watched
		if w, err = s.update(ctx, tenant, id, c); err == nil {
			s.changed(ctx, id)
			return w, nil
		}
	}
	return Watched{}, inWords(noEndpoint, err)
}

func (s *Service) update(ctx context.Context, tenant string, id uuid.UUID, c Change) (Watched, error) {
	w, err := s.store.Endpoint(ctx, tenant, id)
	if err != nil {
		return Watched{}, err
	}
	if err := c.allowedOf(w.Endpoint); err != nil {
		return Watched{}, err
	}
	next := c.apply(w.Endpoint, now())
	if err := fields(c.check(next, s.guard)); err != nil {
		return Watched{}, err
	}
	if err := s.store.UpdateEndpoint(ctx, next); err != nil {
		return Watched{}, err
	}
	if w.Disabled != "" && next.Disabled == "" {
		w.State = State{}
	}
	w.Endpoint = next
	w.Version++
	return w, nil
}

// check returns what is wrong with e, which c was applied to. A URL that was allowed and
// is so no more, which nothing is sent to, is in no other change's way.
func (c Change) check(e Endpoint, g *guard.Guard) error {
	if c.URL == nil {
		return e.checkRest()
	}
	return e.Check(g)
}

// allowedOf refuses what cannot be said of an endpoint that stands for webhooks of jobs.
func (c Change) allowedOf(e Endpoint) error {
	if !e.PerJob {
		return nil
	}
	var wrong []error
	for pointer, said := range map[string]bool{"/url": c.URL != nil, "/types": c.Types != nil, "/metadata": c.Metadata != nil} {
		if said {
			wrong = append(wrong, jobs.Invalid(pointer, "is not to be changed: the endpoint stands for webhooks that jobs have themselves"))
		}
	}
	return errors.Join(wrong...)
}

// apply returns e with what is said.
func (c Change) apply(e Endpoint, at time.Time) Endpoint {
	set(&e.URL, c.URL)
	set(&e.Description, c.Description)
	set(&e.Types, c.Types)
	set(&e.Metadata, c.Metadata)
	set(&e.Timeout, c.Timeout)
	set(&e.PerMinute, c.PerMinute)
	set(&e.Concurrency, c.Concurrency)
	set(&e.Schedule, c.Schedule)
	set(&e.Header, c.Header)
	set(&e.IncludeResult, c.IncludeResult)
	if c.Disabled != nil && *c.Disabled != (e.Disabled != "") {
		e.Disabled, e.ChangedAt = "", at
		if *c.Disabled {
			e.Disabled = DisabledByTenant
		}
	}
	return e
}

func set[T any](to, value *T) {
	if value != nil {
		*to = *value
	}
}

// fields returns each [*FieldError] in err as a *[jobs.Error].
func fields(err error) error {
	if one, ok := err.(*FieldError); ok { //nolint:errorlint // each one is wanted, not the first
		return jobs.Invalid(one.Pointer, "%s", one.Reason)
	}
	all, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var wrong []error
	for _, one := range all.Unwrap() {
		wrong = append(wrong, fields(one))
	}
	return errors.Join(wrong...)
}
