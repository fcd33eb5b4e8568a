package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// SaveState keeps how an endpoint fares: see [delivery.CourierStore].
func (s *Store) SaveState(ctx context.Context, holder uuid.UUID, c delivery.StateChange) error {
	const save = `
		UPDATE webhook_states SET state = $3::text::jsonb, resume_at = $4
		WHERE endpoint_id = $1 AND holder = $2 AND held_until > clock_timestamp()
			AND (SELECT e.disabled = '' FROM webhook_endpoints e WHERE e.id = $1)
		RETURNING endpoint_id`
	const disable = `
		UPDATE webhook_endpoints SET disabled = $2, changed_at = $3, version = version + 1 WHERE id = $1 AND disabled = ''`
	state, err := json.Marshal(c.State)
	if err != nil {
		return err
	}
	held := false
	err = s.write(ctx, "save how an endpoint fares", func(ctx context.Context, t *txn) error {
		var saved []uuid.UUID
		if c.Disable != "" {
			t.exec(`SELECT FROM webhook_endpoints WHERE id = $1 FOR NO KEY UPDATE`, c.Endpoint)
		}
		t.each(appendID(&saved), save, c.Endpoint, holder, string(state), resumeAt(c.State))
		if err := t.flush(ctx); err != nil || len(saved) == 0 {
			return err
		}
		held = true
		if c.Disable != "" {
			t.exec(disable, c.Endpoint, string(c.Disable), c.At)
		}
		for _, e := range c.Events {
			if _, err := tellOne(ctx, t, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || !held || !c.Opened {
		return err
	}
	return s.dueAgain(ctx, c.Endpoint)
}

// resumeAt is what the state says, as it is compared.
func resumeAt(st delivery.State) time.Time {
	if at := st.ResumeAt(); !at.IsZero() {
		return at
	}
	return time.Unix(0, 0)
}

// maxDueAgain is how many deliveries one transaction makes due again.
const maxDueAgain = 2000

// dueAgain makes what waits for another attempt due as it was first. It is several
// transactions: what one that is broken off leaves keeps to its schedule.
func (s *Store) dueAgain(ctx context.Context, endpoint uuid.UUID) error {
	const update = `
		UPDATE pending_deliveries SET due_at = first_due_at WHERE ctid = ANY (ARRAY (
			SELECT ctid FROM pending_deliveries WHERE again = $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`
	for made := maxDueAgain; made == maxDueAgain; {
		err := s.write(ctx, "make deliveries due again", func(_ context.Context, t *txn) error {
			t.count(&made, update, endpoint, maxDueAgain)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
