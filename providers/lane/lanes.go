package lane

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// idle is how long a key outlives its last use.
	idle = time.Hour
	// poll is how soon it is worth asking again when nobody knows.
	poll = 250 * time.Millisecond
	// believed is how long limits count that a provider told of.
	believed = 15 * time.Minute
	// rounding is more than what clocks that count whole microseconds take off a hint,
	// here, in the store and when it is read back.
	rounding = 10 * time.Microsecond
	// unhinted is for how long a provider is left alone that did not say.
	unhinted = time.Second
	// grace is how much longer a probe is let through alone than it may last.
	grace = 15 * time.Second
)

// Config shapes [Lanes]. All but the limits have defaults.
type Config struct {
	// Limits are those of the configuration, by pool. A pool that is not there has
	// none. An operator's take their place; a provider's only lower them.
	Limits map[string]Limits
	// Groups are the pools of targets that are not in their provider's own.
	Groups Groups
	// Burst is how much of a minute's limit may be used at once: default 1 s, at
	// most 10 s.
	Burst time.Duration
	// Lease is how long a permit outlives its last renewal; default 30 s.
	Lease time.Duration
	// ProbeTimeout bounds a probe; default 2 min.
	ProbeTimeout time.Duration
	// FirstOpening is how long a breaker that opens stays open, default 20 s. Each
	// opening that follows is twice as long, up to LongestOpening, default 2 min.
	FirstOpening, LongestOpening time.Duration
}

// filled returns the config with its defaults, or an error that names the field
// at fault.
func (c Config) filled() (Config, error) {
	for _, f := range []struct {
		name           string
		value          *time.Duration
		usual, longest time.Duration
	}{
		{"Burst", &c.Burst, time.Second, 10 * time.Second},
		{"Lease", &c.Lease, 30 * time.Second, idle / 2},
		{"ProbeTimeout", &c.ProbeTimeout, 2 * time.Minute, idle / 2},
		{"FirstOpening", &c.FirstOpening, 20 * time.Second, idle / 2},
		{"LongestOpening", &c.LongestOpening, max(2*time.Minute, c.FirstOpening), idle / 2},
	} {
		*f.value = cmp.Or(*f.value, f.usual)
		if *f.value < time.Millisecond || *f.value > f.longest {
			return Config{}, fmt.Errorf("%s is %v; want 1ms to %v", f.name, *f.value, f.longest)
		}
	}
	if c.LongestOpening < c.FirstOpening {
		return Config{}, fmt.Errorf("LongestOpening is %v; want at least FirstOpening, which is %v", c.LongestOpening, c.FirstOpening)
	}
	return c, checkAll(c.Limits)
}

func checkAll(limits map[string]Limits) error {
	for pool, l := range limits {
		if err := l.check(); err != nil {
			return fmt.Errorf("limits of pool %q: %w", pool, err)
		}
	}
	return nil
}

// maxLimit keeps times in whole microseconds exact.
const maxLimit = 1_000_000_000_000

func (l Limits) check() error {
	for _, n := range []int64{l.RequestsPerMinute, l.InputTokensPerMinute, l.OutputTokensPerMinute, l.Concurrency} {
		if n < 0 || n > maxLimit {
			return fmt.Errorf("a limit of %d; want 0, for none, to %d", n, int64(maxLimit))
		}
	}
	return nil
}

// String is how scripts read limits.
func (l Limits) String() string {
	return fmt.Sprintf("%d %d %d %d", l.RequestsPerMinute, l.InputTokensPerMinute, l.OutputTokensPerMinute, l.Concurrency)
}

// Lanes admits calls to lanes and settles them. It is safe for use by many
// goroutines, and one of many in the fleet: they agree through Redis.
type Lanes struct {
	redis    redis.UniversalClient
	store    Store
	cfg      Config
	pools    atomic.Pointer[pools]
	rebuilds flights
	gates    gates
	debts    gates
}

// New returns lanes on client, which stays the caller's. It fails only for a
// Config that makes no sense; neither Redis nor the store need be there yet.
func New(client redis.UniversalClient, store Store, cfg Config) (*Lanes, error) {
	if client == nil || store == nil {
		return nil, errors.New("lane: want a Redis client and a Store")
	}
	cfg, err := cfg.filled()
	if err != nil {
		return nil, fmt.Errorf("lane: %w", err)
	}
	l := &Lanes{redis: client, store: store, cfg: cfg}
	l.pools.Store(&pools{cfg.Limits, cfg.Groups})
	return l, nil
}

// pools are those of the configuration.
type pools struct {
	limits map[string]Limits
	groups Groups
}

// Configure replaces the limits and groups of the configuration, from the next
// call on. A target that is in another pool by then has that one's gate and limits,
// and a breaker that is closed.
func (l *Lanes) Configure(limits map[string]Limits, groups Groups) error {
	if err := checkAll(limits); err != nil {
		return fmt.Errorf("lane: %w", err)
	}
	l.pools.Store(&pools{limits, groups})
	return nil
}

// configured returns the configuration's limits of a pool.
func (l *Lanes) configured(pool string) Limits { return l.pools.Load().limits[pool] }

// Of returns the lane of a target, which is provider/model.
func (l *Lanes) Of(target string) Lane { return l.pools.Load().groups.Lane(target) }

//go:embed *.lua
var scripts embed.FS

// Scripts, each with what they share before it. Redis knows them by their hash;
// one that does not yet is sent the whole.
var (
	admitScript   = script("admit")
	settleScript  = script("settle")
	beginScript   = script("begin")
	rebuildScript = script("rebuild")
	renewScript   = script("renew")
	lookScript    = script("look")
)

// script reads an embedded file, which is there.
func script(name string) *redis.Script {
	shared, err := scripts.ReadFile("lib.lua")
	own, errOwn := scripts.ReadFile(name + ".lua")
	if err := errors.Join(err, errOwn); err != nil {
		panic(err)
	}
	return redis.NewScript(string(shared) + string(own))
}

// micros is how scripts are given a time: whole microseconds, none negative.
func micros(d time.Duration) int64 { return max(d, 0).Microseconds() }

// least is the shortest wait worth telling of.
func least(d time.Duration) time.Duration { return max(d, time.Millisecond) }
