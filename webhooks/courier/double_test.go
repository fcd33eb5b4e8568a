package courier

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// store is a delivery.CourierStore in memory.
type store struct {
	// before is asked before each call, after afterwards: an error is the answer.
	before, after func(call string) error

	mu        sync.Mutex
	endpoints map[uuid.UUID]*kept
	pending   map[uuid.UUID]*delivery.Due
	of        map[uuid.UUID]map[uuid.UUID]*delivery.Due // pending, by endpoint
	finished  map[uuid.UUID]delivery.Delivery
	attempts  map[uuid.UUID][]delivery.Record
	bodies    map[uuid.UUID][]byte
	jobs      map[uuid.UUID]jobs.Job
	events    []delivery.Event
	calls     map[string]int
}

// kept is an endpoint.
type kept struct {
	delivery.Leased

	holder uuid.UUID
	until  time.Time
}

var _ delivery.CourierStore = (*store)(nil)

func newStore() *store {
	return &store{
		endpoints: map[uuid.UUID]*kept{}, pending: map[uuid.UUID]*delivery.Due{},
		of: map[uuid.UUID]map[uuid.UUID]*delivery.Due{}, finished: map[uuid.UUID]delivery.Delivery{},
		attempts: map[uuid.UUID][]delivery.Record{}, bodies: map[uuid.UUID][]byte{}, jobs: map[uuid.UUID]jobs.Job{}, calls: map[string]int{},
	}
}

func ask[R any](ctx context.Context, s *store, call string, do func() (R, error)) (R, error) {
	var none R
	if err := ctx.Err(); err != nil {
		return none, err
	}
	if s.before != nil {
		if err := s.before(call); err != nil {
			return none, err
		}
	}
	s.mu.Lock()
	s.calls[call]++
	r, err := do()
	s.mu.Unlock()
	if err == nil && s.after != nil {
		if err := s.after(call); err != nil {
			return none, err
		}
	}
	return r, err
}

// due reports whether an endpoint has something due.
func (s *store) due(endpoint uuid.UUID, now time.Time) bool {
	for _, d := range s.of[endpoint] {
		if !d.DueAt.After(now) {
			return true
		}
	}
	return false
}

func (s *store) free(k *kept, now time.Time) bool {
	return k.Disabled == "" && !k.ResumeAt().After(now) && (k.holder == uuid.Nil || !k.until.After(time.Now()))
}

func (s *store) hold(k *kept) delivery.Leased {
	if until := time.Now().Add(timeout(k.Endpoint) + delivery.LeaseMargin); until.After(k.until) {
		k.until = until
	}
	return k.Leased
}

func (s *store) LeaseEndpoints(ctx context.Context, holder uuid.UUID, now time.Time, limit int) ([]delivery.Leased, error) {
	return ask(ctx, s, "LeaseEndpoints", func() (leased []delivery.Leased, _ error) {
		for id, k := range s.endpoints {
			if len(leased) < limit && s.free(k, now) && s.due(id, now) {
				k.holder, k.until = holder, time.Time{}
				leased = append(leased, s.hold(k))
			}
		}
		return leased, nil
	})
}

func (s *store) RenewEndpoints(ctx context.Context, holder uuid.UUID, ids []uuid.UUID, _ time.Time) ([]delivery.Leased, error) {
	return ask(ctx, s, "RenewEndpoints", func() (leased []delivery.Leased, _ error) {
		for _, id := range ids {
			if k := s.endpoints[id]; k != nil && k.holder == holder && k.Disabled == "" && k.until.After(time.Now()) {
				leased = append(leased, s.hold(k))
			}
		}
		return leased, nil
	})
}

func (s *store) ReleaseEndpoints(ctx context.Context, holder uuid.UUID, ids []uuid.UUID) error {
	_, err := ask(ctx, s, "ReleaseEndpoints", func() (none struct{}, _ error) {
		for _, id := range ids {
			if k := s.endpoints[id]; k != nil && k.holder == holder {
				k.holder, k.until = uuid.Nil, time.Time{}
			}
		}
		return none, nil
	})
	return err
}

func (s *store) NextDue(ctx context.Context, now time.Time) (time.Time, error) {
	return ask(ctx, s, "NextDue", func() (next time.Time, _ error) {
		for _, d := range s.pending {
			k := s.endpoints[d.Endpoint]
			if k == nil || k.Disabled != "" || k.holder != uuid.Nil && k.until.After(time.Now()) {
				continue
			}
			at := d.DueAt
			if k.ResumeAt().After(at) {
				at = k.ResumeAt()
			}
			if at.After(now) {
				next = earliest(next, at)
			}
		}
		return next, nil
	})
}

func (s *store) DueAmong(ctx context.Context, ids []uuid.UUID, now time.Time) ([]uuid.UUID, error) {
	return ask(ctx, s, "DueAmong", func() (due []uuid.UUID, _ error) {
		for _, id := range ids {
			if s.due(id, now) {
				due = append(due, id)
			}
		}
		return due, nil
	})
}

func (s *store) Due(ctx context.Context, endpoint uuid.UUID, now time.Time, limit int) ([]delivery.Due, error) {
	return ask(ctx, s, "Due", func() (due []delivery.Due, _ error) {
		for _, d := range s.of[endpoint] {
			if !d.DueAt.After(now) {
				one := *d
				one.Body = s.bodies[d.ID]
				due = append(due, one)
			}
		}
		slices.SortFunc(due, func(a, b delivery.Due) int { return inOrder(&item{Due: a}, &item{Due: b}) })
		return due[:min(limit, len(due))], nil
	})
}

func (s *store) EndedJobs(ctx context.Context, ids []uuid.UUID, results bool) (map[uuid.UUID]jobs.Job, error) {
	return ask(ctx, s, "EndedJobs", func() (map[uuid.UUID]jobs.Job, error) {
		found := map[uuid.UUID]jobs.Job{}
		for _, id := range ids {
			if j, ok := s.jobs[id]; ok {
				if !results {
					j.Result = nil
				}
				found[id] = j
			}
		}
		return found, nil
	})
}

func (s *store) KeepBodies(ctx context.Context, bodies []delivery.Body) (map[uuid.UUID][]byte, error) {
	return ask(ctx, s, "KeepBodies", func() (map[uuid.UUID][]byte, error) {
		before := map[uuid.UUID][]byte{}
		for _, b := range bodies {
			if kept, ok := s.bodies[b.Delivery]; ok {
				before[b.Delivery] = kept
				continue
			}
			s.bodies[b.Delivery] = b.Body
		}
		return before, nil
	})
}

func (s *store) Record(ctx context.Context, records []delivery.Record) error {
	_, err := ask(ctx, s, "Record", func() (none struct{}, _ error) {
		for _, r := range records {
			s.record(r)
		}
		return none, nil
	})
	return err
}

func (s *store) record(r delivery.Record) {
	if slices.ContainsFunc(s.attempts[r.Delivery], func(a delivery.Record) bool { return a.N == r.N }) {
		return
	}
	d, ok := s.pending[r.Delivery]
	if !ok {
		return
	}
	s.attempts[r.Delivery] = append(s.attempts[r.Delivery], r)
	next := r.N == d.Attempts+1
	d.Attempts = max(d.Attempts, r.N)
	if !next && r.Status != delivery.StatusDelivered || d.Trigger != r.Trigger {
		return
	}
	d.Status, d.Step, d.Thin = r.Status, r.Step, r.Thin
	if d.Status == delivery.StatusPending {
		d.DueAt = r.DueAt
		return
	}
	s.finish(d, r.At.Add(r.Latency))
}

func (s *store) finish(d *delivery.Due, at time.Time) {
	d.FinishedAt = at
	s.finished[d.ID] = d.Delivery
	delete(s.pending, d.ID)
	delete(s.of[d.Endpoint], d.ID)
}

func (s *store) add(d *delivery.Due) {
	s.pending[d.ID] = d
	if s.of[d.Endpoint] == nil {
		s.of[d.Endpoint] = map[uuid.UUID]*delivery.Due{}
	}
	s.of[d.Endpoint][d.ID] = d
}

func (s *store) SaveState(ctx context.Context, holder uuid.UUID, c delivery.StateChange) error {
	_, err := ask(ctx, s, "SaveState", func() (none struct{}, _ error) {
		k := s.endpoints[c.Endpoint]
		if k == nil || k.holder != holder {
			return none, nil
		}
		k.State, k.Disabled = c.State, cmp.Or(k.Disabled, c.Disable)
		s.events = append(s.events, c.Events...)
		for _, d := range s.pending {
			if c.Opened && d.Endpoint == c.Endpoint {
				d.DueAt = d.CreatedAt
			}
		}
		return none, nil
	})
	return err
}

func (s *store) Sweep(ctx context.Context, now time.Time, limit int) (int, error) {
	return ask(ctx, s, "Sweep", func() (n int, _ error) {
		for _, d := range s.pending {
			if k := s.endpoints[d.Endpoint]; n < limit && k.Disabled != "" {
				d.Status = delivery.StatusSkipped
				s.finish(d, now)
				n++
			}
		}
		return n, nil
	})
}

func (s *store) ForgetDeliveries(ctx context.Context, _ time.Time) error {
	_, err := ask(ctx, s, "ForgetDeliveries", func() (none struct{}, _ error) { return none, nil })
	return err
}

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// endpoint keeps an endpoint.
func (s *store) endpoint(e delivery.Endpoint) delivery.Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.ID, e.Tenant, e.Version = uuid.New(), cmp.Or(e.Tenant, "acme"), 1
	k := &kept{Leased: delivery.Leased{Watched: delivery.Watched{Endpoint: e}, Secrets: []delivery.Secret{{Key: secret}}}}
	s.endpoints[e.ID] = k
	return e
}

// change changes an endpoint as its tenant does.
func (s *store) change(id uuid.UUID, change func(*kept)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.endpoints[id]
	k.Version++
	change(k)
}

// remove removes an endpoint with its deliveries.
func (s *store) remove(id uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.endpoints, id)
	delete(s.of, id)
	maps.DeleteFunc(s.pending, func(_ uuid.UUID, d *delivery.Due) bool { return d.Endpoint == id })
}

// state returns how an endpoint fares, as far as it was kept.
func (s *store) state(id uuid.UUID) delivery.Watched {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.endpoints[id].Watched
}

// tell makes n deliveries to an endpoint and returns their ids, the oldest first.
func (s *store) tell(e delivery.Endpoint, n int) []uuid.UUID {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]uuid.UUID, n)
	for i := range ids {
		event, err := delivery.NewEventID(time.Now())
		if err != nil {
			panic(err)
		}
		d := delivery.Delivery{
			ID: event, Tenant: e.Tenant, Endpoint: e.ID, Event: event, Type: "lane.opened",
			Status: delivery.StatusPending, Trigger: delivery.TriggerEvent, DueAt: stamp(time.Now()), CreatedAt: stamp(time.Now()),
		}
		s.add(&delivery.Due{Delivery: d, Data: []byte(`{"object":"lane"}`)})
		ids[i] = d.ID
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

// delivery returns one with its attempts.
func (s *store) delivery(id uuid.UUID) (delivery.Delivery, []delivery.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.pending[id]; ok {
		return d.Delivery, slices.Clone(s.attempts[id])
	}
	return s.finished[id], slices.Clone(s.attempts[id])
}

// called returns how often a method was called.
func (s *store) called(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[call]
}

// count counts deliveries by status.
func (s *store) count() map[delivery.Status]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[delivery.Status]int{}
	for _, d := range s.finished {
		n[d.Status]++
	}
	if len(s.pending) > 0 {
		n[delivery.StatusPending] = len(s.pending)
	}
	return n
}

// ended makes a delivery of a job that has ended with a result, and returns its id.
func (s *store) ended(e delivery.Endpoint, result []byte) uuid.UUID {
	id := s.tell(e, 1)[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	j := jobs.Job{ID: uuid.New(), Tenant: e.Tenant, Status: jobs.StatusSucceeded, Result: result, CreatedAt: time.Now(), FinishedAt: time.Now()}
	s.jobs[j.ID] = j
	d := s.pending[id]
	d.Job, d.Data, d.Type = j.ID, nil, delivery.JobSucceeded
	return id
}
