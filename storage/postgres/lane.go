package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/providers/lane"
)

var _ lane.Store = (*Store)(nil)

// Times of lanes are by the database's clock. A query tells how many
// microseconds are left until one.
const (
	lanePoolQuery = `
		SELECT (extract(epoch FROM greatest(gate_until - clock_timestamp(), interval '0')) * 1000000)::bigint,
			limited, requests_per_minute, input_tokens_per_minute, output_tokens_per_minute, concurrency
		FROM lane_pools WHERE pool = $1`
	laneHoldsQuery   = `SELECT target, hold FROM lane_holds WHERE pool = $1 AND target IN ('', $2)`
	laneBreakerQuery = `
		SELECT opening, (extract(epoch FROM greatest(open_until - clock_timestamp(), interval '0')) * 1000000)::bigint,
			CASE WHEN probe_until > clock_timestamp() THEN prober END,
			(extract(epoch FROM greatest(probe_until - clock_timestamp(), interval '0')) * 1000000)::bigint
		FROM lane_breakers WHERE pool = $1 AND target = $2`
	// laneCallsQuery starts from the few that are running.
	laneCallsQuery = `
		SELECT c.id, c.provider || '/' || c.model
		FROM releases r
		CROSS JOIN LATERAL (
			SELECT * FROM calls c WHERE c.execution_id = r.execution_id AND c.fence = r.fence AND c.status IS NULL OFFSET 0
		) c
		WHERE r.worker IS NOT NULL AND c.provider = $1`
)

// Lane returns what is kept of a lane: see [lane.Store].
func (s *Store) Lane(ctx context.Context, l lane.Lane) (k lane.Kept, err error) {
	err = s.write(ctx, "read a lane", func(_ context.Context, t *txn) error {
		k = lane.Kept{}
		t.each(func(rows pgx.Rows) error { return scanPool(rows, &k) }, lanePoolQuery, l.Pool)
		t.each(func(rows pgx.Rows) error { return scanHold(rows, &k) }, laneHoldsQuery, l.Pool, l.Target)
		t.each(func(rows pgx.Rows) error { return scanBreaker(rows, &k) }, laneBreakerQuery, l.Pool, l.Target)
		t.each(func(rows pgx.Rows) error {
			var c lane.OpenCall
			err := rows.Scan(&c.Call, &c.Target)
			k.Calls = append(k.Calls, c)
			return err
		}, laneCallsQuery, l.Provider())
		return nil
	})
	return k, err
}

func scanPool(rows pgx.Rows, k *lane.Kept) error {
	var gate int64
	var limited bool
	var limits lane.Limits
	err := rows.Scan(&gate, &limited, &limits.RequestsPerMinute, &limits.InputTokensPerMinute, &limits.OutputTokensPerMinute,
		&limits.Concurrency)
	k.Gate = microseconds(gate)
	if limited {
		k.Limits = &limits
	}
	return err
}

func scanHold(rows pgx.Rows, k *lane.Kept) error {
	var target string
	var hold lane.Hold
	err := rows.Scan(&target, &hold)
	if target == "" {
		k.PoolHold = hold
	} else {
		k.Hold = hold
	}
	return err
}

func scanBreaker(rows pgx.Rows, k *lane.Kept) error {
	var open, probe int64
	var prober *uuid.UUID
	err := rows.Scan(&k.Opening.Number, &open, &prober, &probe)
	k.Opening.For, k.Prober, k.ProbeFor = microseconds(open), orZero(prober), microseconds(probe)
	return err
}

// KeepGate shuts a pool's gate: see [lane.Store].
func (s *Store) KeepGate(ctx context.Context, pool string, wait time.Duration) error {
	_, err := s.keepLane(ctx, "keep a gate", `
		INSERT INTO lane_pools (pool, gate_until) VALUES ($1, clock_timestamp() + $2 * interval '1 microsecond')
		ON CONFLICT (pool) DO UPDATE SET gate_until = excluded.gate_until
		WHERE lane_pools.gate_until < excluded.gate_until`, pool, wait.Microseconds())
	return err
}

// KeepLimits replaces an operator's limits: see [lane.Store].
func (s *Store) KeepLimits(ctx context.Context, pool string, limits *lane.Limits) error {
	n := orZero(limits)
	_, err := s.keepLane(ctx, "keep limits", `
		INSERT INTO lane_pools (pool, limited, requests_per_minute, input_tokens_per_minute, output_tokens_per_minute, concurrency)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (pool) DO UPDATE SET limited = excluded.limited, requests_per_minute = excluded.requests_per_minute,
			input_tokens_per_minute = excluded.input_tokens_per_minute,
			output_tokens_per_minute = excluded.output_tokens_per_minute, concurrency = excluded.concurrency`,
		pool, limits != nil, n.RequestsPerMinute, n.InputTokensPerMinute, n.OutputTokensPerMinute, n.Concurrency)
	return err
}

// KeepHold replaces what an operator holds: see [lane.Store].
func (s *Store) KeepHold(ctx context.Context, l lane.Lane, h lane.Hold) error {
	if h == lane.NoHold {
		_, err := s.keepLane(ctx, "end a hold", `DELETE FROM lane_holds WHERE pool = $1 AND target = $2`, l.Pool, l.Target)
		return err
	}
	_, err := s.keepLane(ctx, "keep a hold", `
		INSERT INTO lane_holds (pool, target, hold) VALUES ($1, $2, $3)
		ON CONFLICT (pool, target) DO UPDATE SET hold = excluded.hold`, l.Pool, l.Target, string(h))
	return err
}

// KeepOpening notes that a breaker is open: see [lane.Store]. It also forgets
// those that nobody has asked about for days.
func (s *Store) KeepOpening(ctx context.Context, l lane.Lane, o lane.Opening) error {
	_, err := s.keepLane(ctx, "keep an opening", `
		WITH old AS (
			DELETE FROM lane_breakers WHERE greatest(open_until, probe_until) < clock_timestamp() - interval '2 days'
				AND (pool, target) <> ($1, $2)
		)
		INSERT INTO lane_breakers (pool, target, opening, open_until)
		VALUES ($1, $2, $3, clock_timestamp() + $4 * interval '1 microsecond')
		ON CONFLICT (pool, target) DO UPDATE SET opening = excluded.opening, open_until = excluded.open_until, prober = NULL
		WHERE lane_breakers.probe_until <= clock_timestamp()`, l.Pool, l.Target, o.Number, o.For.Microseconds())
	return err
}

// TakeProbe makes the call the lane's probe: see [lane.Store].
func (s *Store) TakeProbe(ctx context.Context, l lane.Lane, call uuid.UUID, lease time.Duration) (bool, error) {
	n, err := s.keepLane(ctx, "take a probe", `
		INSERT INTO lane_breakers (pool, target, opening, open_until, prober, probe_until)
		VALUES ($1, $2, 1, clock_timestamp(), $3, clock_timestamp() + $4 * interval '1 microsecond')
		ON CONFLICT (pool, target) DO UPDATE SET prober = excluded.prober, probe_until = excluded.probe_until
		WHERE lane_breakers.prober = excluded.prober OR lane_breakers.probe_until <= clock_timestamp()`,
		l.Pool, l.Target, call, lease.Microseconds())
	return n == 1, err
}

// EndProbe ends a probe: see [lane.Store].
func (s *Store) EndProbe(ctx context.Context, l lane.Lane, call uuid.UUID, next lane.Opening) (bool, error) {
	if next.Number == 0 {
		n, err := s.keepLane(ctx, "end a probe", `
			DELETE FROM lane_breakers WHERE pool = $1 AND target = $2 AND prober = $3`, l.Pool, l.Target, call)
		return n == 1, err
	}
	n, err := s.keepLane(ctx, "end a probe", `
		UPDATE lane_breakers SET opening = $4, open_until = clock_timestamp() + $5 * interval '1 microsecond',
			prober = NULL, probe_until = 'epoch'
		WHERE pool = $1 AND target = $2 AND prober = $3`, l.Pool, l.Target, call, next.Number, next.For.Microseconds())
	return n == 1, err
}

// keepLane runs one statement and returns how many rows it changed.
func (s *Store) keepLane(ctx context.Context, doing, sql string, args ...any) (n int64, err error) {
	err = s.bounded(ctx, doing, func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, sql, args...)
		n = tag.RowsAffected()
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
