package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// recordQuery keeps attempts, at most one of each delivery, and moves the deliveries on.
// Those that are pending are locked.
//
//	v        the attempts whose delivery p is pending, or d has finished
//	logged   those that are recorded for the first time; of two that count as one, made by
//	         two couriers, the one that says delivered
//	fresh    only these change anything
//	stays    what is pending still; of one that was redelivered meanwhile, it counts
//	over     what has finished now, and
//	kept     moves to where that is
//	late     what finished before, by another courier or because nothing was sent any more
//	replays  what became of their deliveries is counted
//
// What is not pending when it is locked may be by the time it is read, and then nobody holds
// it: if one in the log is nowhere, because it was moved or deleted meanwhile, all is done
// again. Else its number would be taken, and none of its next attempts would count.
const recordQuery = `
	WITH v AS MATERIALIZED (
		SELECT v.*, p.row, p.attempts, v.n = p.attempts + 1 AND v.trigger = p.trigger AS moves
		FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::timestamptz[], $7::smallint[],
				$8::text[], $9::integer[], $10::bigint[], $11::bigint[], $12::text[], $13::bytea[], $14::uuid[],
				$15::text[], $16::integer[], $17::timestamptz[], $18::boolean[])
			AS v (endpoint_id, delivery_id, n, tenant, trigger, at, verdict, failure, http_status, retry_after_us,
				latency_us, remote_addr, answer, key_id, status, step, due_at, thin)
		LEFT JOIN LATERAL (
			SELECT p.ctid AS row, p.attempts, p.trigger FROM pending_deliveries p
			WHERE p.endpoint_id = v.endpoint_id AND p.id = v.delivery_id OFFSET 0
		) p ON true
		WHERE p.row IS NOT NULL OR (SELECT true FROM deliveries d WHERE d.endpoint_id = v.endpoint_id AND d.id = v.delivery_id)
	), logged AS (
		INSERT INTO delivery_attempts (delivery_id, n, tenant, endpoint_id, trigger, at, verdict, failure, http_status,
			retry_after_us, latency_us, remote_addr, answer, key_id, status, step, due_at, thin)
		SELECT delivery_id, n, tenant, endpoint_id, trigger, at, verdict, failure, http_status,
			retry_after_us, latency_us, remote_addr, answer, key_id, status, step, due_at, thin
		FROM v ON CONFLICT (delivery_id, n) DO UPDATE SET trigger = excluded.trigger, at = excluded.at,
			verdict = excluded.verdict, failure = excluded.failure, http_status = excluded.http_status,
			retry_after_us = excluded.retry_after_us, latency_us = excluded.latency_us, remote_addr = excluded.remote_addr,
			answer = excluded.answer, key_id = excluded.key_id, status = excluded.status, step = excluded.step,
			due_at = excluded.due_at, thin = excluded.thin
		WHERE excluded.status = 'delivered' AND delivery_attempts.status <> 'delivered'
		RETURNING delivery_id
	), fresh AS MATERIALIZED (
		SELECT v.* FROM v WHERE v.delivery_id = ANY (ARRAY (SELECT delivery_id FROM logged))
	), stays AS (
		UPDATE pending_deliveries p SET attempts = greatest(p.attempts, v.n), thin = p.thin OR v.thin,
			step = CASE WHEN v.moves THEN v.step ELSE p.step END,
			due_at = CASE WHEN v.moves THEN coalesce(v.due_at, v.at) ELSE p.due_at END
		FROM fresh v
		WHERE p.ctid = v.row AND NOT (v.status = 'delivered' OR v.moves AND v.status <> 'pending')
		RETURNING p.id
	), over AS (
		DELETE FROM pending_deliveries p USING fresh v
		WHERE p.ctid = v.row AND (v.status = 'delivered' OR v.moves AND v.status <> 'pending')
		RETURNING p.*, v.status, v.n, v.step AS last_step, v.thin AS last_thin,
			v.at + v.latency_us * interval '1 microsecond' AS finished_at
	), kept AS (
		INSERT INTO deliveries (id, tenant, endpoint_id, event_id, job_id, type, url, status, trigger, replay_id,
			attempts, step, thin, created_at, finished_at)
		SELECT id, tenant, endpoint_id, event_id, job_id, type, url, status, trigger, replay_id,
			greatest(attempts, n), last_step, thin OR last_thin, created_at, finished_at
		FROM over
	), late AS (
		UPDATE deliveries d SET attempts = greatest(d.attempts, v.n), thin = d.thin OR v.thin,
			status = CASE WHEN v.status = 'delivered' THEN 'delivered' ELSE d.status END,
			finished_at = CASE WHEN v.status = 'delivered' AND d.status <> 'delivered'
				THEN v.at + v.latency_us * interval '1 microsecond' ELSE d.finished_at END
		FROM fresh v
		WHERE v.row IS NULL AND d.endpoint_id = v.endpoint_id AND d.id = v.delivery_id AND d.id = ANY ($2)
		RETURNING d.id
	), replays AS (
		UPDATE webhook_replays r SET delivered = r.delivered + c.delivered, failed = r.failed + c.failed
		FROM (
			SELECT replay_id, count(*) FILTER (WHERE status = 'delivered') AS delivered,
				count(*) FILTER (WHERE status = 'failed') AS failed
			FROM over WHERE replay_id IS NOT NULL GROUP BY replay_id
		) c
		WHERE r.id = c.replay_id AND r.id = ANY (ARRAY (SELECT replay_id FROM over))
	)
	SELECT break_off('a delivery was moved while its attempt was recorded')
	WHERE (SELECT count(*) FROM fresh) <>
		(SELECT count(*) FROM stays) + (SELECT count(*) FROM over) + (SELECT count(*) FROM late)`

// Record keeps attempts and moves their deliveries on: see [delivery.CourierStore]. It is
// one round trip.
func (s *Store) Record(ctx context.Context, records []delivery.Record) error {
	if len(records) == 0 {
		return nil
	}
	records = sorted(records, func(r delivery.Record) [2]uuid.UUID { return [2]uuid.UUID{r.Endpoint, r.Delivery} })
	return s.write(ctx, "record attempts", func(_ context.Context, t *txn) error {
		t.exec(lockPending("UPDATE"), column(records, endpointOf), column(records, deliveryOf))
		for rest := records; len(rest) > 0; {
			var some []delivery.Record
			some, rest = distinct(rest, deliveryOf)
			recordSome(t, some)
		}
		return nil
	})
}

func endpointOf(r delivery.Record) uuid.UUID { return r.Endpoint }

func deliveryOf(r delivery.Record) uuid.UUID { return r.Delivery }

func recordSome(t *txn, records []delivery.Record) {
	t.exec(recordQuery,
		column(records, endpointOf),
		column(records, deliveryOf),
		column(records, func(r delivery.Record) int { return r.N }),
		column(records, func(r delivery.Record) string { return r.Tenant }),
		column(records, func(r delivery.Record) string { return string(r.Trigger) }),
		column(records, func(r delivery.Record) time.Time { return r.At }),
		column(records, func(r delivery.Record) int16 { return int16(r.Verdict) }), //nolint:gosec // a handful of words
		column(records, func(r delivery.Record) string { return string(r.Failure) }),
		column(records, func(r delivery.Record) int { return r.Attempt.Status }),
		column(records, func(r delivery.Record) int64 { return r.RetryAfter.Microseconds() }),
		column(records, func(r delivery.Record) int64 { return r.Latency.Microseconds() }),
		column(records, func(r delivery.Record) string { return clean(r.RemoteAddr) }),
		column(records, func(r delivery.Record) []byte { return r.Answer }),
		column(records, func(r delivery.Record) *uuid.UUID { return orNull(r.KeyID) }),
		column(records, func(r delivery.Record) string { return string(r.Status) }),
		column(records, func(r delivery.Record) int { return r.Step }),
		column(records, func(r delivery.Record) *time.Time { return when(r.DueAt) }),
		column(records, func(r delivery.Record) bool { return r.Thin }))
}
