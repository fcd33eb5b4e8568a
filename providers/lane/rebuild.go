package lane

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// rebuildPatience bounds one rebuild, so that a store that does not answer is
// told of rather than waited for.
const rebuildPatience = 5 * time.Second

// rebuild brings a lane that Redis has lost back from the store. Those who want
// the same lane meanwhile wait for it.
func (l *Lanes) rebuild(ctx context.Context, lane Lane) error {
	return l.rebuilds.do(ctx, lane, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rebuildPatience)
		defer cancel()
		for range rebuildTries {
			done, err := l.rebuildOnce(ctx, lane)
			if err != nil {
				return fmt.Errorf("rebuild the lane: %w", err)
			}
			if done {
				break
			}
		}
		return nil // if Redis has lost it again and again, whoever asks next will see
	})
}

// rebuildOnce reads what the store has kept since the build began, and reports
// false when something was lost or changed meanwhile: what was read may be past.
func (l *Lanes) rebuildOnce(ctx context.Context, lane Lane) (bool, error) {
	number, err := beginScript.Run(ctx, l.redis, []string{buildKey(lane.Pool)}, uuid.NewString(), idle.Milliseconds()).Text()
	if err != nil {
		return false, fmt.Errorf("begin in Redis: %w", err)
	}
	kept, err := l.store.Lane(ctx, lane)
	if err != nil {
		return false, err
	}
	debt, err := l.store.Lane(ctx, Lane{Pool: debtOf(lane.Pool)})
	if err != nil {
		return false, err
	}
	keys := []string{poolKey(lane.Pool), laneKey(lane), permitsKey(lane.Pool), buildKey(lane.Pool)}
	args := []any{
		number, micros(kept.Gate), string(kept.PoolHold), string(kept.Hold), limitsText(kept.Limits),
		kept.Opening.Number, micros(kept.Opening.For), prober(kept), micros(kept.ProbeFor),
		l.configured(lane.Pool).String(), micros(l.cfg.Burst), l.cfg.Lease.Milliseconds(), idle.Milliseconds(),
		micros(debt.Gate),
	}
	for _, c := range kept.Calls {
		if l.Of(c.Target).Pool != lane.Pool {
			continue
		}
		keys = append(keys, lanePermitsKey(Lane{lane.Pool, c.Target}), callKey(lane.Pool, c.Call))
		args = append(args, c.Call.String())
	}
	done, err := rebuildScript.Run(ctx, l.redis, keys, args...).Bool()
	if err != nil {
		return false, fmt.Errorf("rebuild in Redis: %w", err)
	}
	return done, nil
}

func limitsText(limits *Limits) string {
	if limits == nil {
		return ""
	}
	return limits.String()
}

func prober(k Kept) string {
	if k.Prober == uuid.Nil {
		return ""
	}
	return k.Prober.String()
}

// Fields of laneKey.
const builtField = "built"

var breakerFields = []string{"opened", "open_until", "prober", "probe_until"}

// forget makes Redis read the lane from the store again; its pool, when it has no
// target. All that the store does not keep stays, but the given fields.
func (l *Lanes) forget(ctx context.Context, lane Lane, fields ...string) error {
	_, err := l.redis.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, buildKey(lane.Pool), uuid.NewString(), idle)
		of := laneKey(lane)
		if lane.Target == "" {
			of = poolKey(lane.Pool)
		}
		pipe.HDel(ctx, of, append(fields, builtField)...)
		return nil
	})
	if err != nil {
		return fmt.Errorf("make Redis forget %s: %w", lane.name(), err)
	}
	return nil
}

// flights lets one of those who want the same lane rebuild it.
type flights struct {
	mu   sync.Mutex
	each map[Lane]*flight
}

type flight struct {
	done chan struct{}
	err  error
}

func (f *flights) do(ctx context.Context, lane Lane, rebuild func() error) error {
	f.mu.Lock()
	if under, ok := f.each[lane]; ok {
		f.mu.Unlock()
		select {
		case <-under.done:
			return under.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	own := &flight{done: make(chan struct{})}
	if f.each == nil {
		f.each = make(map[Lane]*flight)
	}
	f.each[lane] = own
	f.mu.Unlock()

	own.err = rebuild()
	f.mu.Lock()
	delete(f.each, lane)
	f.mu.Unlock()
	close(own.done)
	return own.err
}
