package storagetest

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func hookRaceRules() []hookRule {
	return []hookRule{
		{"of those who lease at once one holds an endpoint", leaseRacesLease},
		{"of two who record an attempt at once one counts", recordRacesRecord},
		{"a delivery that is redelivered while it is recorded is sent again", redeliverRacesRecord},
		{"an attempt at what was skipped counts, redelivered meanwhile or not", redeliverRacesLateRecord},
		{"what goes with its job goes whole", bodyRacesDelete},
		{"whatever is done at once, each event is delivered once", hookCrowd},
	}
}

func leaseRacesLease(f *hookFixture) {
	const endpoints, holders = 12, 4
	for range endpoints {
		f.endpoint()
	}
	f.answered("a", time.Minute)
	var mu sync.Mutex
	held := map[uuid.UUID]int{}
	lease := func() {
		for holder := range holders {
			leased, err := f.hooks.LeaseEndpoints(f.t.Context(), newID(f.t), f.at(time.Hour), 1+holder)
			f.check(err, "lease")
			mu.Lock()
			for _, l := range leased {
				held[l.ID]++
			}
			mu.Unlock()
		}
	}
	atOnce(lease, lease, lease, lease)
	f.lease(newID(f.t), f.at(time.Hour))
	for id, n := range held {
		equal(f.fixture, n, 1, "holders of "+id.String())
	}
}

func recordRacesRecord(f *hookFixture) {
	e := f.endpoint()
	for range rounds {
		d := f.told(e, time.Minute)
		failed, delivered := f.attempt(d, f.at(time.Minute)), f.ending(d, f.at(time.Minute), delivery.StatusDelivered)
		record := func(r delivery.Record) func() {
			return func() { f.check(f.hooks.Record(f.t.Context(), []delivery.Record{r}), "record") }
		}
		atOnce(record(failed), record(delivered), record(failed), record(delivered))
		got, attempts := f.deliveryNow(d)
		equal(f.fixture, got.Status, delivery.StatusDelivered, "status")
		equal(f.fixture, got.Attempts, 1, "attempts")
		equal(f.fixture, len(attempts), 1, "attempts in the log")
	}
}

func redeliverRacesRecord(f *hookFixture) {
	e := f.endpoint()
	for range rounds {
		d := f.told(e, time.Minute)
		r := f.ending(d, f.at(time.Minute), delivery.StatusFailed)
		atOnce(
			func() { f.check(f.hooks.Record(f.t.Context(), []delivery.Record{r}), "record") },
			func() {
				_, err := f.hooks.Redeliver(f.t.Context(), d.Tenant, d.ID, f.at(time.Hour))
				f.check(err, "redeliver")
			})
		got := f.is(d, delivery.StatusPending)
		equal(f.fixture, got.Trigger, delivery.TriggerRedeliver, "trigger")
		equal(f.fixture, got.Attempts, 1, "attempts")
		equal(f.fixture, got.DueAt, f.at(time.Hour), "due at")
	}
}

func redeliverRacesLateRecord(f *hookFixture) {
	e := f.endpoint()
	for range 4 * rounds {
		seen := f.told(e, time.Minute)
		f.update(e, func(e *delivery.Endpoint) { e.Disabled = delivery.DisabledByTenant })
		f.sweep(f.at(time.Minute))
		f.update(e, func(e *delivery.Endpoint) { e.Disabled = "" })
		f.is(seen, delivery.StatusSkipped)
		late := attemptOf(seen, f.at(time.Minute))
		atOnce(
			func() { f.check(f.hooks.Record(f.t.Context(), []delivery.Record{late}), "record") },
			func() {
				_, err := f.hooks.Redeliver(f.t.Context(), seen.Tenant, seen.ID, f.at(time.Hour))
				f.check(err, "redeliver")
			})
		equal(f.fixture, f.is(seen, delivery.StatusPending).Attempts, 1, "attempts")
		f.record(f.ending(seen, f.at(time.Hour), delivery.StatusFailed))
		got, attempts := f.deliveryNow(seen)
		equal(f.fixture, got.Status, delivery.StatusFailed, "status after the next attempt")
		equal(f.fixture, len(attempts), 2, "attempts in the log")
	}
}

func bodyRacesDelete(f *hookFixture) {
	e := f.endpoint()
	for range rounds {
		d := f.told(e, time.Minute)
		b := delivery.Body{Delivery: d.ID, Endpoint: e.ID, Tenant: d.Tenant, Body: []byte("the answer")}
		atOnce(
			func() {
				_, err := f.hooks.KeepBodies(f.t.Context(), []delivery.Body{b})
				f.check(err, "keep a body")
			},
			func() { f.check(f.store.Delete(f.t.Context(), d.Tenant, d.Job), "delete a job") })
		f.gone(d)
		before, err := f.hooks.KeepBodies(f.t.Context(), []delivery.Body{b})
		f.must(err, "keep a body of what is gone")
		equal(f.fixture, len(before), 0, "bodies that outlast their delivery")
	}
}

// crowdOfHooks does all that is done with deliveries, to two endpoints, of which one is
// deleted and made again.
type crowdOfHooks struct {
	*hookFixture

	kept delivery.Endpoint

	mu      sync.Mutex
	fleets  delivery.Endpoint
	ended   []uuid.UUID
	deleted map[uuid.UUID]bool
}

func hookCrowd(f *hookFixture) {
	c := &crowdOfHooks{hookFixture: f, kept: f.endpoint(), fleets: f.endpoint(), deleted: map[uuid.UUID]bool{}}
	var group sync.WaitGroup
	for _, act := range []func(){
		c.end, c.end, c.end, c.send, c.send, c.send, c.sweep, c.sweep, c.redeliver, c.toggle, c.replay, c.remove, c.replace, c.open,
	} {
		group.Go(func() {
			for range rounds {
				act()
			}
		})
	}
	group.Wait()
	c.drain()
	c.judge()
}

// end ends a job.
func (c *crowdOfHooks) end() {
	s := c.submission(newID(c.t).String())
	_, err := c.store.Submit(c.t.Context(), s)
	c.check(err, "submit")
	_, _, err = c.store.Cancel(c.t.Context(), tenant, s.Job.ID, c.now)
	c.check(err, "cancel")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = append(c.ended, s.Job.ID)
}

// one of the endpoints, and one of the jobs that have ended.
func (c *crowdOfHooks) any() (delivery.Endpoint, uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var job uuid.UUID
	if len(c.ended) > 0 {
		job = c.ended[rand.N(len(c.ended))]
	}
	if rand.N(2) == 0 {
		return c.kept, job
	}
	return c.fleets, job
}

// send attempts what is due.
func (c *crowdOfHooks) send() {
	e, _ := c.any()
	due, err := c.hooks.Due(c.t.Context(), e.ID, c.at(time.Hour), 20)
	c.check(err, "list what is due")
	var bodies []delivery.Body
	var records []delivery.Record
	for _, d := range due {
		bodies = append(bodies, delivery.Body{Delivery: d.ID, Endpoint: d.Endpoint, Tenant: d.Tenant, Body: []byte(`{}`)})
		r := attemptOf(d.Delivery, c.at(time.Minute))
		if n := rand.N(4); n < 3 {
			r = endingOf(d.Delivery, c.at(time.Minute), []delivery.Status{
				delivery.StatusDelivered, delivery.StatusFailed, delivery.StatusSkipped,
			}[n])
		}
		records = append(records, r)
	}
	_, err = c.hooks.KeepBodies(c.t.Context(), bodies)
	c.check(err, "keep bodies")
	c.check(c.hooks.Record(c.t.Context(), records), "record")
}

func (c *crowdOfHooks) sweep() {
	_, err := c.hooks.Sweep(c.t.Context(), c.at(time.Hour), 50)
	c.check(err, "sweep")
}

func (c *crowdOfHooks) redeliver() {
	e, _ := c.any()
	list, err := c.hooks.Deliveries(c.t.Context(), delivery.Query{Tenant: tenant, Endpoint: e.ID, Limit: 10})
	c.check(err, "list", jobs.ErrNotFound)
	for _, d := range list {
		_, err := c.hooks.Redeliver(c.t.Context(), tenant, d.ID, c.at(time.Minute))
		c.check(err, "redeliver", jobs.ErrNotFound, delivery.ErrDisabled)
	}
}

// toggle disables an endpoint or enables it.
func (c *crowdOfHooks) toggle() {
	e, _ := c.any()
	w, err := c.hooks.Endpoint(c.t.Context(), tenant, e.ID)
	c.check(err, "read an endpoint", jobs.ErrNotFound)
	if err != nil {
		return
	}
	if w.Disabled == "" {
		w.Disabled = delivery.DisabledByTenant
	} else {
		w.Disabled = ""
	}
	c.check(c.hooks.UpdateEndpoint(c.t.Context(), w.Endpoint), "change", jobs.ErrNotFound, delivery.ErrChanged)
}

// replay replays all of an endpoint now and then, and cancels that or not.
func (c *crowdOfHooks) replay() {
	e, _ := c.any()
	if rand.N(5) > 0 {
		c.sweep()
		return
	}
	r, err := c.hooks.StartReplay(c.t.Context(), delivery.Replay{
		ID: newID(c.t), Tenant: tenant, Endpoint: e.ID, Since: c.at(-time.Hour), CreatedAt: c.now,
	})
	c.check(err, "replay", jobs.ErrNotFound, delivery.ErrDisabled)
	if err == nil && rand.N(2) == 0 {
		c.sweep()
		_, err := c.hooks.CancelReplay(c.t.Context(), tenant, r.ID, c.now)
		c.check(err, "cancel a replay", jobs.ErrNotFound)
	}
}

// remove deletes a job.
func (c *crowdOfHooks) remove() {
	_, job := c.any()
	if job == uuid.Nil {
		return
	}
	c.mu.Lock()
	c.deleted[job] = true
	c.mu.Unlock()
	c.check(c.store.Delete(c.t.Context(), tenant, job), "delete a job", jobs.ErrNotFound)
}

// replace deletes one of the endpoints and makes another.
func (c *crowdOfHooks) replace() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.check(c.hooks.DeleteEndpoint(c.t.Context(), tenant, c.fleets.ID), "delete an endpoint")
	c.fleets = c.endpoint()
}

// open has a breaker open.
func (c *crowdOfHooks) open() {
	holder := newID(c.t)
	leased, err := c.hooks.LeaseEndpoints(c.t.Context(), holder, c.at(time.Hour), 1)
	c.check(err, "lease")
	for _, l := range leased {
		c.check(c.hooks.SaveState(c.t.Context(), holder, delivery.StateChange{
			Endpoint: l.ID, State: delivery.State{Openings: 1}, Opened: true, At: c.now,
		}), "save a state")
		c.check(c.hooks.ReleaseEndpoints(c.t.Context(), holder, []uuid.UUID{l.ID}), "release")
	}
}

// drain enables both endpoints and delivers all that is pending.
func (c *crowdOfHooks) drain() {
	for _, e := range []delivery.Endpoint{c.kept, c.fleets} {
		c.update(e, func(e *delivery.Endpoint) { e.Disabled = "" })
	}
	for left := 1; left > 0; {
		left = 0
		for {
			n, err := c.hooks.Sweep(c.t.Context(), c.at(time.Hour), 1000)
			c.must(err, "sweep")
			if n == 0 {
				break
			}
			left += n
		}
		for _, e := range []delivery.Endpoint{c.kept, c.fleets} {
			var records []delivery.Record
			for _, d := range c.due(e.ID, c.at(1000*day)) {
				records = append(records, c.ending(d.Delivery, c.at(time.Hour), delivery.StatusDelivered))
			}
			c.record(records...)
			left += len(records)
		}
	}
}

// judge asserts that each job that is there was told once to the endpoint that was there
// from the beginning, and that nothing is left of the others.
func (c *crowdOfHooks) judge() {
	for _, job := range c.ended {
		list, err := c.hooks.Deliveries(c.t.Context(), delivery.Query{Tenant: tenant, Job: job, Endpoint: c.kept.ID, Limit: 10})
		if c.deleted[job] {
			c.mustBe(err, jobs.ErrNotFound, "list the deliveries of a job that is gone")
			continue
		}
		c.must(err, "list the deliveries of a job")
		equal(c.fixture, len(list), 1, "deliveries of a job to an endpoint")
		d, attempts := c.deliveryNow(list[0])
		if d.Status == delivery.StatusPending || d.Attempts != len(attempts) {
			c.t.Fatalf("delivery: got %+v with %d attempts in the log, want an end, and as many", d, len(attempts))
		}
	}
	for _, d := range c.deliveries(c.kept) {
		if c.deleted[d.Job] {
			c.t.Errorf("delivery %s of a deleted job: got %s, want none", d.ID, d.Status)
		}
	}
	replays, err := c.hooks.Replays(c.t.Context(), tenant, c.kept.ID)
	c.must(err, "list replays")
	for _, r := range replays {
		if r.Status == delivery.ReplayRunning {
			c.t.Errorf("replay: got %+v, want an end", r)
		}
	}
}
