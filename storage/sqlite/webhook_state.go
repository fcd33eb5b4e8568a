package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// SaveState keeps how an endpoint fares: see [delivery.CourierStore].
func (s *Store) SaveState(ctx context.Context, holder uuid.UUID, c delivery.StateChange) error {
	state, err := json.Marshal(c.State)
	if err != nil {
		return fmt.Errorf("write the state of endpoint %s: %w", c.Endpoint, err)
	}
	_, err = change(ctx, s, "save an endpoint's state", func(ctx context.Context, t *statements) (struct{}, error) {
		held, err := holds(ctx, t, holder, c.Endpoint)
		if err != nil || !held {
			return struct{}{}, err
		}
		_, err = t.exec(ctx, `UPDATE webhook_states SET state = ?, resume_at = ? WHERE endpoint_id = ?`,
			string(state), micros(c.State.ResumeAt()), id(c.Endpoint))
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, follow(ctx, t, c)
	})
	return err
}

// follow does what a new state leads to.
func follow(ctx context.Context, t *statements, c delivery.StateChange) error {
	if c.Disable != "" {
		_, err := t.exec(ctx, `
			UPDATE webhook_endpoints SET disabled = ?, version = version + 1, changed_at = ? WHERE id = ?`,
			string(c.Disable), micros(c.At), id(c.Endpoint))
		if err != nil {
			return err
		}
	}
	if c.Opened {
		_, err := t.exec(ctx, `
			UPDATE deliveries INDEXED BY deliveries_waiting SET due_at = first_due_at
			WHERE endpoint_id = ? AND status = 'pending' AND due_at > first_due_at`, id(c.Endpoint))
		if err != nil {
			return err
		}
	}
	for _, e := range c.Events {
		if err := tell(ctx, t, e); err != nil {
			return err
		}
	}
	return nil
}
