package lane

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Renew says that the calls of these permits are still under way: one round
// trip. A permit that nobody renews lapses after [Config].Lease. One that Redis
// has lost is there again.
func (l *Lanes) Renew(ctx context.Context, permits []Permit) error {
	byPool := make(map[string][]Permit)
	for _, p := range permits {
		byPool[p.Pool] = append(byPool[p.Pool], p)
	}
	err := l.pipelined(ctx, renewScript, func(run func(keys []string, args ...any) *redis.Cmd) {
		for pool, permits := range byPool {
			keys, args := []string{permitsKey(pool)}, []any{l.cfg.Lease.Milliseconds(), idle.Milliseconds()}
			for _, p := range permits {
				keys = append(keys, lanePermitsKey(p.Lane), callKey(pool, p.Call))
				args = append(args, p.Call.String())
			}
			run(keys, args...)
		}
	})
	if err != nil {
		return fmt.Errorf("renew %d permits: %w", len(permits), err)
	}
	return nil
}

// pipelined runs a script several times in one round trip. A Redis that does not
// know it is sent it, and asked again.
func (l *Lanes) pipelined(ctx context.Context, s *redis.Script, each func(run func(keys []string, args ...any) *redis.Cmd)) error {
	send := func() error {
		_, err := l.redis.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			each(func(keys []string, args ...any) *redis.Cmd { return s.EvalSha(ctx, pipe, keys, args...) })
			return nil
		})
		return err
	}
	err := send()
	if err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
		if err := s.Load(ctx, l.redis).Err(); err != nil {
			return err
		}
		return send()
	}
	return err
}
