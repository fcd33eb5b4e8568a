package latency

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// late is how long after its end a slot may still be told of.
const late = 2 * shareEvery

// share tells Redis what is new here and asks what is new there, in one round
// trip.
func (f *Fleet) share(ctx context.Context) error {
	now := time.Now()
	told, asked := f.unsaid(), f.unread(now)
	answers := make(map[place]*redis.MapStringStringCmd, len(asked))
	_, err := f.cfg.Redis.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for at, data := range told {
			pipe.HSet(ctx, at.key(), f.name, data)
			pipe.Expire(ctx, at.key(), Window+2*slotLength)
		}
		for _, at := range asked {
			answers[at] = pipe.HGetAll(ctx, at.key())
		}
		return nil
	})
	if err != nil {
		f.resay(told)
		return fmt.Errorf("share the latencies of calls: %w", err)
	}
	return f.take(answers, now)
}

// unsaid returns what Redis is to be told, and takes it as told.
func (f *Fleet) unsaid() map[place][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	told := map[place][]byte{}
	for number := range f.unshared {
		for pool := range pools(f.own[number]) {
			told[place{pool, number}] = f.own[number].encode(pool)
		}
	}
	clear(f.unshared)
	return told
}

func pools(s slot) map[string]bool {
	found := map[string]bool{}
	for t := range s {
		found[t.Pool] = true
	}
	return found
}

// resay takes back that Redis was told.
func (f *Fleet) resay(told map[place][]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for at := range told {
		f.unshared[at.slot] = true
	}
}

// unread lists the slots of the window that may have something new.
func (f *Fleet) unread(now time.Time) (asked []place) {
	f.mu.Lock()
	defer f.mu.Unlock()
	of := map[string]bool{}
	for _, pool := range f.cfg.Pools {
		of[pool] = true
	}
	for _, s := range f.own {
		maps.Copy(of, pools(s))
	}
	current := slotAt(now)
	for _, pool := range slices.Sorted(maps.Keys(of)) {
		for number := current - slots + 1; number <= current; number++ {
			closed := time.Unix(0, (number+1)*int64(slotLength)).Add(late)
			if at := (place{pool, number}); f.read[at].Before(closed) {
				asked = append(asked, at)
			}
		}
	}
	return asked
}

// take replaces what was known of the others by what they say now.
func (f *Fleet) take(answers map[place]*redis.MapStringStringCmd, now time.Time) (err error) {
	taken := window{}
	for at, answer := range answers {
		for name, data := range answer.Val() {
			if name == f.name {
				continue
			}
			if bad := taken.at(at.slot).decode(at.pool, []byte(data)); bad != nil {
				err = fmt.Errorf("read the latencies of another process's calls: %w", bad)
			}
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for at := range answers {
		f.read[at] = now
		maps.DeleteFunc(f.others.at(at.slot), func(t Target, _ *series) bool { return t.Pool == at.pool })
		for t, one := range taken[at.slot] {
			if t.Pool == at.pool {
				f.others.at(at.slot)[t] = one
			}
		}
	}
	current := slotAt(now)
	f.own.forget(current)
	f.others.forget(current)
	maps.DeleteFunc(f.read, func(at place, _ time.Time) bool { return at.slot <= current-slots })
	f.refreshed = now
	clear(f.summaries)
	return err
}
