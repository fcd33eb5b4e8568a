package delivery

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Resolve finds what the webhook of a job belongs to: it is a [jobs.WebhookResolver]. The
// URL must be one that may be sent to, under one that the tenant is allowed, and the
// tenant must have a secret to sign with.
func (s *Service) Resolve(ctx context.Context, tenant, address string) (jobs.Webhook, error) {
	u, err := s.guard.Check(address)
	if err != nil {
		return jobs.Webhook{}, jobs.Invalid("/webhook/url", "%v", err)
	}
	if !s.allows(tenant, u) {
		return jobs.Webhook{}, jobs.Invalid("/webhook/url",
			"is under no URL that the tenant's jobs may name: webhook_allow of the configuration has those")
	}
	origin := originOf(u)
	webhook := jobs.Webhook{URL: address, Endpoint: OriginID(tenant, origin)}
	if s.origins.has(webhook.Endpoint) {
		return webhook, nil
	}
	if err := s.ensure(ctx, tenant, webhook.Endpoint, origin); err != nil {
		return jobs.Webhook{}, err
	}
	s.origins.add(webhook.Endpoint)
	return webhook, nil
}

// ensure sees to it that there is a secret to sign with, and an endpoint that stands for
// the origin. Neither goes away again.
func (s *Service) ensure(ctx context.Context, tenant string, id uuid.UUID, origin string) error {
	at := now()
	ready, err := s.store.HasSecret(ctx, tenant, TenantOwner(tenant), at)
	if err != nil {
		return fmt.Errorf("look for the secret of a tenant: %w", err)
	}
	if !ready {
		return jobs.Invalid("/webhook", "the tenant has no secret to sign with: POST /v1/webhook-secret/rotate makes one")
	}
	err = s.store.EnsureEndpoint(ctx, Endpoint{
		ID: id, Tenant: tenant, URL: origin, PerJob: true, Version: 1, CreatedAt: at, ChangedAt: at,
	})
	if err != nil {
		return fmt.Errorf("ensure the endpoint of a job's webhook: %w", err)
	}
	return nil
}

// remembered is a bounded set of ids. The zero value is empty.
type remembered struct {
	mu  sync.Mutex
	ids map[uuid.UUID]struct{}
}

// maxRemembered is how many there are at most; then all are forgotten.
const maxRemembered = 4096

func (r *remembered) has(id uuid.UUID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.ids[id]
	return ok
}

func (r *remembered) add(id uuid.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids == nil || len(r.ids) >= maxRemembered {
		r.ids = map[uuid.UUID]struct{}{}
	}
	r.ids[id] = struct{}{}
}
