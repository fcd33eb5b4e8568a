// Package latency knows how long calls take: percentiles for each target over
// the last minutes, merged over the workers of a fleet, and what follows from
// them, timeouts and the delay of a hedge.
//
// A call that was broken off tells how long it would have taken at least. That
// is kept as what it is, so that percentiles, and timeouts made of them, do not
// shrink because slow calls are cut.
package latency

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// Config is what a [Fleet] needs. All of it may be left out.
type Config struct {
	// Redis is what the fleet's processes have in common; nil: this process is
	// all there is.
	Redis redis.UniversalClient
	// Pools are read also when this process calls none of them.
	Pools []string
	// Report is told when the numbers of others could not be had, once for each
	// row of failures. It may be nil.
	Report func(error)
}

// Fleet knows the calls of this process and, while its Run runs or Refresh is
// called, those of the others. It is safe for use by many goroutines.
type Fleet struct {
	cfg Config
	// name is this process's among the others.
	name string
	// fresh holds a token when there is something to share or to look for.
	fresh chan struct{}
	// sharing is held by who talks to Redis.
	sharing chan struct{}

	mu sync.Mutex
	// own and others are what was observed here and elsewhere.
	own, others window
	// unshared are the slots with something that Redis was not told of.
	unshared map[int64]bool
	// read tells when a pool's slot was read last.
	read map[place]time.Time
	// refreshed is when the others' were read last.
	refreshed time.Time
	summaries map[Target]summarized
}

// summarized is a summary and when it was made.
type summarized struct {
	Summary
	at time.Time
}

// NewFleet returns a fleet that knows of no call yet.
func NewFleet(cfg Config) *Fleet {
	if cfg.Report == nil {
		cfg.Report = func(error) {}
	}
	return &Fleet{
		cfg: cfg, name: uuid.NewString(), fresh: make(chan struct{}, 1), sharing: make(chan struct{}, 1),
		own: window{}, others: window{}, unshared: map[int64]bool{}, read: map[place]time.Time{},
		summaries: map[Target]summarized{},
	}
}

// Record takes in a call that has ended. Calls that failed by themselves say
// nothing about how long an answer takes: leave them out.
func (f *Fleet) Record(t Target, c Sample) {
	number := slotAt(time.Now())
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.own[number] == nil {
		f.own.forget(number)
	}
	kept := f.own.at(number).of(t)
	if kept == nil {
		return
	}
	kept.add(c)
	if f.cfg.Redis != nil {
		f.unshared[number] = true
		f.wake()
	}
}

func (f *Fleet) wake() {
	select {
	case f.fresh <- struct{}{}:
	default:
	}
}

// summaryAge is how old a summary may be, to spare the making of it.
const summaryAge = time.Second

// Summary tells what is known about a target. It waits for nobody: what it
// knows of other processes is as fresh as Run and Refresh keep it.
func (f *Fleet) Summary(t Target) Summary {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if made, ok := f.summaries[t]; ok && now.Sub(made.at) < summaryAge {
		return made.Summary
	}
	all := new(series)
	for _, w := range []window{f.own, f.others} {
		w.forget(slotAt(now))
		for _, s := range w {
			if one := s[t]; one != nil {
				all.merge(one)
			}
		}
	}
	made := summaryOf(t, all)
	f.keep(made, now)
	return made
}

// keep keeps a summary for those who ask next, of as many targets as there can
// be in a slot.
func (f *Fleet) keep(s Summary, now time.Time) {
	if len(f.summaries) >= maxTargets {
		clear(f.summaries)
	}
	f.summaries[s.Target] = summarized{s, now}
}

// shareEvery is how often a process with something to say talks to Redis.
const shareEvery = 5 * time.Second

// Run shares what this process observes, and reads what the others do, until
// ctx ends; then it returns nil. A process with no calls does nothing.
func (f *Fleet) Run(ctx context.Context) error {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.fresh:
		}
		err := f.Refresh(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			f.cfg.Report(err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(shareEvery):
		}
		if err != nil {
			f.wake()
		}
	}
}

// refreshAge is how old the numbers of others may be for Refresh to do nothing.
const refreshAge = 2 * time.Second

var errBusy = errors.New("another reads them just now")

// Refresh shares and reads now, unless it was done a moment ago. When Redis
// cannot be asked, what is known stays, until it is too old.
func (f *Fleet) Refresh(ctx context.Context) error {
	if f.cfg.Redis == nil {
		return nil
	}
	select {
	case f.sharing <- struct{}{}:
		defer func() { <-f.sharing }()
	case <-ctx.Done():
		return errBusy
	}
	if f.isFresh() {
		return nil
	}
	return f.share(ctx)
}

func (f *Fleet) isFresh() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.refreshed.IsZero() && time.Since(f.refreshed) < refreshAge
}
