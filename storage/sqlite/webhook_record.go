package sqlite

import (
	"context"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// Record keeps attempts: see [delivery.CourierStore].
func (s *Store) Record(ctx context.Context, records []delivery.Record) error {
	_, err := change(ctx, s, "record attempts", func(ctx context.Context, t *statements) (struct{}, error) {
		for _, r := range records {
			if err := record(ctx, t, r); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

// record keeps one attempt, unless it was before.
func record(ctx context.Context, t *statements, r delivery.Record) error {
	var now standingDelivery
	ok, err := found(t.row(ctx, `SELECT status, trigger, replay_id, attempts FROM deliveries WHERE id = ?`, id(r.Delivery)).
		Scan(&now.status, &now.trigger, &now.replay, &now.attempts))
	if err != nil || !ok {
		return err
	}
	if isNew, err := insertAttempt(ctx, t, r); err != nil || !isNew {
		return err
	}
	next := r.N == now.attempts+1
	if next {
		_, err := t.exec(ctx, `UPDATE deliveries SET attempts = ?, thin = ? WHERE id = ?`, r.N, r.Thin, id(r.Delivery))
		if err != nil {
			return err
		}
	}
	decides := next && now.status == delivery.StatusPending && now.trigger == r.Trigger
	if !decides && r.Status != delivery.StatusDelivered {
		return nil
	}
	if err := moveOn(ctx, t, r); err != nil || now.status != delivery.StatusPending || now.replay == nil {
		return err
	}
	return countReplayed(ctx, t, *now.replay, r.Status)
}

// standingDelivery is how a delivery stands when an attempt is recorded.
type standingDelivery struct {
	status   delivery.Status
	trigger  delivery.Trigger
	replay   *uuid.UUID
	attempts int
}

// insertAttempt reports false if the attempt is there. One that says delivered takes the
// place of one that does not: two couriers made it.
func insertAttempt(ctx context.Context, t *statements, r delivery.Record) (bool, error) {
	n, err := t.exec(ctx, `
		INSERT INTO delivery_attempts (delivery_id, n, trigger, at, verdict, failure, http_status, retry_after, latency,
			remote_addr, answer, key_id, status, step, due_at, thin)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (delivery_id, n) DO UPDATE SET trigger = excluded.trigger, at = excluded.at, verdict = excluded.verdict,
			failure = excluded.failure, http_status = excluded.http_status, retry_after = excluded.retry_after,
			latency = excluded.latency, remote_addr = excluded.remote_addr, answer = excluded.answer, key_id = excluded.key_id,
			status = excluded.status, step = excluded.step, due_at = excluded.due_at, thin = excluded.thin
		WHERE excluded.status = 'delivered' AND delivery_attempts.status <> 'delivered'`,
		id(r.Delivery), r.N, string(r.Trigger), micros(r.At), int(r.Verdict), string(r.Failure), r.Attempt.Status,
		r.RetryAfter.Microseconds(), r.Latency.Microseconds(), r.RemoteAddr, r.Answer, idOrNull(r.KeyID), string(r.Status),
		r.Step, micros(r.DueAt), r.Thin)
	return n == 1, err
}

// moveOn makes of the delivery what the attempt says.
func moveOn(ctx context.Context, t *statements, r delivery.Record) error {
	if r.Status == delivery.StatusPending {
		_, err := t.exec(ctx, `UPDATE deliveries SET step = ?, due_at = ? WHERE id = ?`, r.Step, micros(r.DueAt), id(r.Delivery))
		return err
	}
	_, err := t.exec(ctx, `UPDATE deliveries SET status = ?, step = ?, finished_at = ? WHERE id = ?`,
		string(r.Status), r.Step, micros(r.At.Add(r.Latency)), id(r.Delivery))
	return err
}

// countReplayed notes what became of a delivery of a replay.
func countReplayed(ctx context.Context, t *statements, replay uuid.UUID, status delivery.Status) error {
	var err error
	switch status {
	case delivery.StatusDelivered:
		_, err = t.exec(ctx, `UPDATE webhook_replays SET delivered = delivered + 1 WHERE id = ?`, id(replay))
	case delivery.StatusFailed:
		_, err = t.exec(ctx, `UPDATE webhook_replays SET failed = failed + 1 WHERE id = ?`, id(replay))
	default:
	}
	return err
}
