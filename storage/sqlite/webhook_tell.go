package sqlite

import (
	"context"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// Tell keeps an event of no job: see [delivery.EndpointStore].
func (s *Store) Tell(ctx context.Context, e delivery.Event) ([]delivery.Delivery, error) {
	return change(ctx, s, "tell of an event", func(ctx context.Context, t *statements) ([]delivery.Delivery, error) {
		if e.Only != uuid.Nil {
			if _, err := endpointOf(ctx, t, e.Tenant, e.Only); err != nil {
				return nil, err
			}
		}
		if err := tell(ctx, t, e); err != nil {
			return nil, err
		}
		return all(ctx, t, scanDelivery, selectDelivery+`
			WHERE d.event_id = ? AND d.job_id IS NULL AND d.tenant = ? ORDER BY d.id`, id(e.ID), e.Tenant)
	})
}

// tell keeps an event with its deliveries, unless it is there.
func tell(ctx context.Context, t *statements, e delivery.Event) error {
	n, err := t.exec(ctx, `
		INSERT INTO events (id, job_id, tenant, type, created_at, data) VALUES (?1, ?1, ?2, ?3, ?4, ?5)
		ON CONFLICT DO NOTHING`, id(e.ID), e.Tenant, e.Type, micros(e.CreatedAt), []byte(e.Data))
	if err != nil || n == 0 {
		return err
	}
	return insertDeliveries(ctx, t, fact{Event: e})
}
