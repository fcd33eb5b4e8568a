// Package lanetest has a [lane.Store] in memory, for tests and simulations.
package lanetest

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/providers/lane"
)

// Store is a [lane.Store] in memory. The zero value is empty and ready for use by
// many goroutines.
type Store struct {
	// Fail, if not nil, is asked before each method, by its name; an error of it is
	// the method's. It may block, as a slow store does.
	Fail func(ctx context.Context, method string) error

	mu     sync.Mutex
	gates  map[string]time.Time
	holds  map[lane.Lane]lane.Hold
	limits map[string]lane.Limits
	open   map[lane.Lane]*opening
	calls  map[uuid.UUID]lane.Lane
}

type opening struct {
	number     int
	until      time.Time
	prober     uuid.UUID
	probeUntil time.Time
}

var _ lane.Store = (*Store)(nil)

// Begin makes the call one that is under way in the lane.
func (s *Store) Begin(l lane.Lane, call uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	put(&s.calls, call, l)
}

// End is the reverse of Begin.
func (s *Store) End(call uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, call)
}

func put[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = make(map[K]V)
	}
	(*m)[k] = v
}

// enter locks the store for a method, unless the method is to fail.
func (s *Store) enter(ctx context.Context, method string) (leave func(), err error) {
	if s.Fail != nil {
		if err := s.Fail(ctx, method); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	return s.mu.Unlock, nil
}

// left is how long it is until t; zero when that is past.
func left(t time.Time) time.Duration { return max(time.Until(t), 0) }

// Lane implements [lane.Store].
func (s *Store) Lane(ctx context.Context, l lane.Lane) (lane.Kept, error) {
	leave, err := s.enter(ctx, "Lane")
	if err != nil {
		return lane.Kept{}, err
	}
	defer leave()
	k := lane.Kept{Gate: left(s.gates[l.Pool]), PoolHold: s.holds[lane.Lane{Pool: l.Pool}], Hold: s.holds[l]}
	if limits, ok := s.limits[l.Pool]; ok {
		k.Limits = &limits
	}
	if o := s.open[l]; o != nil {
		k.Opening = lane.Opening{Number: o.number, For: left(o.until)}
		if k.ProbeFor = left(o.probeUntil); k.ProbeFor > 0 {
			k.Prober = o.prober
		}
	}
	for call, of := range s.calls {
		if of.Provider() == l.Provider() {
			k.Calls = append(k.Calls, lane.OpenCall{Call: call, Target: of.Target})
		}
	}
	return k, nil
}

// KeepGate implements [lane.Store].
func (s *Store) KeepGate(ctx context.Context, pool string, wait time.Duration) error {
	leave, err := s.enter(ctx, "KeepGate")
	if err != nil {
		return err
	}
	defer leave()
	if until := time.Now().Add(wait); s.gates[pool].Before(until) {
		put(&s.gates, pool, until)
	}
	return nil
}

// KeepOpening implements [lane.Store].
func (s *Store) KeepOpening(ctx context.Context, l lane.Lane, o lane.Opening) error {
	leave, err := s.enter(ctx, "KeepOpening")
	if err != nil {
		return err
	}
	defer leave()
	if now := s.open[l]; now == nil || left(now.probeUntil) == 0 {
		put(&s.open, l, &opening{number: o.Number, until: time.Now().Add(o.For)})
	}
	return nil
}

// TakeProbe implements [lane.Store].
func (s *Store) TakeProbe(ctx context.Context, l lane.Lane, call uuid.UUID, lease time.Duration) (bool, error) {
	leave, err := s.enter(ctx, "TakeProbe")
	if err != nil {
		return false, err
	}
	defer leave()
	o := s.open[l]
	if o == nil {
		o = &opening{number: 1, until: time.Now()}
		put(&s.open, l, o)
	}
	if o.prober != call && left(o.probeUntil) > 0 {
		return false, nil
	}
	o.prober, o.probeUntil = call, time.Now().Add(lease)
	return true, nil
}

// EndProbe implements [lane.Store].
func (s *Store) EndProbe(ctx context.Context, l lane.Lane, call uuid.UUID, next lane.Opening) (bool, error) {
	leave, err := s.enter(ctx, "EndProbe")
	if err != nil {
		return false, err
	}
	defer leave()
	if o := s.open[l]; o == nil || o.prober != call {
		return false, nil
	}
	if next.Number == 0 {
		delete(s.open, l)
		return true, nil
	}
	s.open[l] = &opening{number: next.Number, until: time.Now().Add(next.For)}
	return true, nil
}

// KeepHold implements [lane.Store].
func (s *Store) KeepHold(ctx context.Context, l lane.Lane, h lane.Hold) error {
	leave, err := s.enter(ctx, "KeepHold")
	if err != nil {
		return err
	}
	defer leave()
	put(&s.holds, l, h)
	return nil
}

// KeepLimits implements [lane.Store].
func (s *Store) KeepLimits(ctx context.Context, pool string, limits *lane.Limits) error {
	leave, err := s.enter(ctx, "KeepLimits")
	if err != nil {
		return err
	}
	defer leave()
	if limits == nil {
		delete(s.limits, pool)
		return nil
	}
	put(&s.limits, pool, *limits)
	return nil
}
