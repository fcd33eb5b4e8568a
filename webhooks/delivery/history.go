package delivery

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Deliveries returns up to q.Limit deliveries, newest first, and whether there are more.
// The endpoint, if q has one, must be there; of a job that is not there are none.
func (s *Service) Deliveries(ctx context.Context, q Query) (page []Delivery, more bool, err error) {
	if q.Endpoint != uuid.Nil {
		if _, err := s.Get(ctx, q.Tenant, q.Endpoint); err != nil {
			return nil, false, err
		}
	}
	limit := q.Limit
	q.Limit++
	page, err = s.store.Deliveries(ctx, q)
	if err != nil {
		return nil, false, err
	}
	return page[:min(limit, len(page))], len(page) > limit, nil
}

// Delivery returns a delivery with its attempts, oldest first.
func (s *Service) Delivery(ctx context.Context, tenant string, id uuid.UUID) (Delivery, []Record, error) {
	d, attempts, err := s.store.Delivery(ctx, tenant, id)
	return d, attempts, inWords(noDelivery, err)
}

// Redeliver sends a delivery once more, from the beginning of the schedule, whatever
// became of it.
func (s *Service) Redeliver(ctx context.Context, tenant string, id uuid.UUID) (Delivery, error) {
	d, err := s.store.Redeliver(ctx, tenant, id, now())
	if err != nil {
		return Delivery{}, inWords(noDelivery, err)
	}
	s.changed(ctx, d.Endpoint)
	return d, nil
}

// endpointTold is what an event tells of an endpoint.
type endpointTold struct {
	ID     uuid.UUID `json:"id"`
	Object string    `json:"object"`
	URL    string    `json:"url"`
}

// Test sends an event of type [EndpointTest] to an endpoint, as any other would be.
func (s *Service) Test(ctx context.Context, tenant string, id uuid.UUID) (Delivery, error) {
	w, err := s.Get(ctx, tenant, id)
	switch {
	case err != nil:
		return Delivery{}, err
	case w.PerJob:
		return Delivery{}, conflict("this endpoint has no URL of its own to send to: each job has one")
	case w.Disabled != "":
		return Delivery{}, inWords(noEndpoint, ErrDisabled)
	}
	told, err := s.tellTest(ctx, w.Endpoint)
	if err != nil {
		return Delivery{}, fmt.Errorf("test a webhook endpoint: %w", err)
	}
	if len(told) == 0 { // it was deleted meanwhile
		return Delivery{}, inWords(noEndpoint, jobs.ErrNotFound)
	}
	s.changed(ctx, id)
	return told[0], nil
}

func (s *Service) tellTest(ctx context.Context, e Endpoint) ([]Delivery, error) {
	at := now()
	id, err := NewEventID(at)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(endpointTold{ID: e.ID, Object: "webhook_endpoint", URL: e.URL})
	if err != nil {
		return nil, err
	}
	return s.store.Tell(ctx, Event{
		ID: id, Tenant: e.Tenant, Type: EndpointTest, Data: data, CreatedAt: at, Only: e.ID, Trigger: TriggerTest,
	})
}
