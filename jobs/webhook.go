package jobs

import (
	"context"

	"github.com/google/uuid"
)

// Webhook is where a job itself wants its end told; the zero Webhook is nowhere.
type Webhook struct {
	URL string
	// Endpoint is the id of what stands for all such webhooks at URL's origin.
	Endpoint uuid.UUID
}

// WebhookResolver finds what a job's webhook belongs to. It refuses a URL that the
// tenant's jobs may not name, with an *[Error] for /webhook/url.
type WebhookResolver func(ctx context.Context, tenant, url string) (Webhook, error)

// WithWebhooks lets jobs name webhooks of their own; without it they are refused.
func WithWebhooks(resolve WebhookResolver) ServiceOption {
	return func(s *Service) { s.webhooks = resolve }
}

func (s *Service) webhook(ctx context.Context, n NewJob) (Webhook, error) {
	switch {
	case n.Webhook == "":
		return Webhook{}, nil
	case s.webhooks == nil:
		return Webhook{}, Invalid("/webhook", "webhooks of jobs are not configured here")
	default:
		return s.webhooks(ctx, n.Tenant, n.Webhook)
	}
}
