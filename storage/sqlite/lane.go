package sqlite

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/providers/lane"
)

var _ lane.Store = (*Store)(nil)

// Lane returns what is kept of a lane, by Go's clock: see [lane.Store].
func (s *Store) Lane(ctx context.Context, l lane.Lane) (lane.Kept, error) {
	return read(ctx, s, "read a lane", func(ctx context.Context, q *statements) (k lane.Kept, err error) {
		if err := readPool(ctx, q, l.Pool, &k); err != nil {
			return lane.Kept{}, err
		}
		if k.PoolHold, err = readHold(ctx, q, lane.Lane{Pool: l.Pool}); err != nil {
			return lane.Kept{}, err
		}
		if k.Hold, err = readHold(ctx, q, l); err != nil {
			return lane.Kept{}, err
		}
		if err := readBreaker(ctx, q, l, &k); err != nil {
			return lane.Kept{}, err
		}
		k.Calls, err = all(ctx, q, scanOpenCall, `
			SELECT c.id, c.provider || '/' || c.model
			FROM releases r CROSS JOIN calls c ON c.execution_id = r.execution_id AND c.fence = r.fence
			WHERE r.worker IS NOT NULL AND c.status IS NULL AND c.provider = ?`, l.Provider())
		return k, err
	})
}

func scanOpenCall(row scanner) (c lane.OpenCall, err error) {
	err = row.Scan(&c.Call, &c.Target)
	return c, err
}

// left is how long it is until a time in the database; zero when it is past.
func left(until int64) time.Duration { return max(time.Until(time.UnixMicro(until)), 0) }

func readPool(ctx context.Context, q *statements, pool string, k *lane.Kept) error {
	var gate int64
	var limited bool
	var limits lane.Limits
	_, err := found(q.row(ctx, `
		SELECT gate_until, limited, requests_per_minute, input_tokens_per_minute, output_tokens_per_minute, concurrency
		FROM lane_pools WHERE pool = ?`, pool).
		Scan(&gate, &limited, &limits.RequestsPerMinute, &limits.InputTokensPerMinute, &limits.OutputTokensPerMinute,
			&limits.Concurrency))
	k.Gate = left(gate)
	if limited {
		k.Limits = &limits
	}
	return err
}

func readHold(ctx context.Context, q *statements, l lane.Lane) (h lane.Hold, err error) {
	_, err = found(q.row(ctx, `SELECT hold FROM lane_holds WHERE pool = ? AND target = ?`, l.Pool, l.Target).Scan(&h))
	return h, err
}

func readBreaker(ctx context.Context, q *statements, l lane.Lane, k *lane.Kept) error {
	var open, probe int64
	var prober uuid.NullUUID
	_, err := found(q.row(ctx, `
		SELECT opening, open_until, prober, probe_until FROM lane_breakers WHERE pool = ? AND target = ?`, l.Pool, l.Target).
		Scan(&k.Opening.Number, &open, &prober, &probe))
	k.Opening.For, k.ProbeFor = left(open), left(probe)
	if k.ProbeFor > 0 {
		k.Prober = prober.UUID
	}
	return err
}

// KeepGate shuts a pool's gate: see [lane.Store].
func (s *Store) KeepGate(ctx context.Context, pool string, wait time.Duration) error {
	_, err := change(ctx, s, "keep a gate", func(ctx context.Context, t *statements) (int64, error) {
		return t.exec(ctx, `
			INSERT INTO lane_pools (pool, gate_until) VALUES (?, ?)
			ON CONFLICT (pool) DO UPDATE SET gate_until = max(gate_until, excluded.gate_until)`,
			pool, micros(time.Now().Add(wait)))
	})
	return err
}

// KeepLimits replaces an operator's limits: see [lane.Store].
func (s *Store) KeepLimits(ctx context.Context, pool string, limits *lane.Limits) error {
	n := orZero(limits)
	_, err := change(ctx, s, "keep limits", func(ctx context.Context, t *statements) (int64, error) {
		return t.exec(ctx, `
			INSERT INTO lane_pools (pool, limited, requests_per_minute, input_tokens_per_minute, output_tokens_per_minute,
				concurrency)
			VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (pool) DO UPDATE SET limited = excluded.limited, requests_per_minute = excluded.requests_per_minute,
				input_tokens_per_minute = excluded.input_tokens_per_minute,
				output_tokens_per_minute = excluded.output_tokens_per_minute, concurrency = excluded.concurrency`,
			pool, limits != nil, n.RequestsPerMinute, n.InputTokensPerMinute, n.OutputTokensPerMinute, n.Concurrency)
	})
	return err
}

// KeepHold replaces what an operator holds: see [lane.Store].
func (s *Store) KeepHold(ctx context.Context, l lane.Lane, h lane.Hold) error {
	_, err := change(ctx, s, "keep a hold", func(ctx context.Context, t *statements) (int64, error) {
		if h == lane.NoHold {
			return t.exec(ctx, `DELETE FROM lane_holds WHERE pool = ? AND target = ?`, l.Pool, l.Target)
		}
		return t.exec(ctx, `
			INSERT INTO lane_holds (pool, target, hold) VALUES (?, ?, ?)
			ON CONFLICT (pool, target) DO UPDATE SET hold = excluded.hold`, l.Pool, l.Target, string(h))
	})
	return err
}

// oldBreaker is how long a breaker is kept that nobody has asked about.
const oldBreaker = 48 * time.Hour

// KeepOpening notes that a breaker is open: see [lane.Store]. It also forgets
// old ones.
func (s *Store) KeepOpening(ctx context.Context, l lane.Lane, o lane.Opening) error {
	_, err := change(ctx, s, "keep an opening", func(ctx context.Context, t *statements) (int64, error) {
		now := time.Now()
		_, err := t.exec(ctx, `DELETE FROM lane_breakers WHERE max(open_until, probe_until) < ?`, micros(now.Add(-oldBreaker)))
		if err != nil {
			return 0, err
		}
		return t.exec(ctx, `
			INSERT INTO lane_breakers (pool, target, opening, open_until) VALUES (?, ?, ?, ?)
			ON CONFLICT (pool, target) DO UPDATE SET opening = excluded.opening, open_until = excluded.open_until, prober = NULL
			WHERE probe_until <= ?`, l.Pool, l.Target, o.Number, micros(now.Add(o.For)), micros(now))
	})
	return err
}

// TakeProbe makes the call the lane's probe: see [lane.Store].
func (s *Store) TakeProbe(ctx context.Context, l lane.Lane, call uuid.UUID, lease time.Duration) (bool, error) {
	return change(ctx, s, "take a probe", func(ctx context.Context, t *statements) (bool, error) {
		now := time.Now()
		n, err := t.exec(ctx, `
			INSERT INTO lane_breakers (pool, target, opening, open_until, prober, probe_until) VALUES (?, ?, 1, ?, ?, ?)
			ON CONFLICT (pool, target) DO UPDATE SET prober = excluded.prober, probe_until = excluded.probe_until
			WHERE lane_breakers.prober = excluded.prober OR lane_breakers.probe_until <= ?`,
			l.Pool, l.Target, micros(now), id(call), micros(now.Add(lease)), micros(now))
		return n == 1, err
	})
}

// EndProbe ends a probe: see [lane.Store].
func (s *Store) EndProbe(ctx context.Context, l lane.Lane, call uuid.UUID, next lane.Opening) (bool, error) {
	return change(ctx, s, "end a probe", func(ctx context.Context, t *statements) (bool, error) {
		var n int64
		var err error
		if next.Number == 0 {
			n, err = t.exec(ctx, `DELETE FROM lane_breakers WHERE pool = ? AND target = ? AND prober = ?`, l.Pool, l.Target, id(call))
		} else {
			n, err = t.exec(ctx, `
				UPDATE lane_breakers SET opening = ?, open_until = ?, prober = NULL, probe_until = 0
				WHERE pool = ? AND target = ? AND prober = ?`,
				next.Number, micros(time.Now().Add(next.For)), l.Pool, l.Target, id(call))
		}
		return n == 1, err
	})
}
