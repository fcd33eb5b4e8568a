package storagetest

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func endpointRules() []hookRule {
	return []hookRule{
		{"an endpoint is kept as it is", endpointIsKept},
		{"invariant 9: another tenant's endpoint is not found", endpointOfOthers},
		{"endpoints are listed newest first", endpointsAreListed},
		{"a tenant has only so many", endpointsAreBounded},
		{"those for the webhooks of jobs do not count", originsDoNotCount},
		{"of many who create the last there may be one does", endpointsRace},
		{"one for the webhooks of jobs is kept once", originIsKeptOnce},
		{"a change replaces what may change", endpointIsChanged},
		{"of two who change an endpoint one is told", endpointChangesOnce},
		{"one that is enabled again starts anew", enabledStartsAnew},
		{"a deleted endpoint is gone with what was for it", endpointIsDeleted},
		{"what stood for an origin may do so again", originComesBack},
	}
}

func full(e *delivery.Endpoint) {
	e.Description, e.URL = "where we are told, é", "https://example.com:8443/a?b=c"
	e.Types, e.Metadata = []string{"job.*", "lane.opened"}, map[string]string{"team": "a", "": "empty"}
	e.Timeout, e.PerMinute, e.Concurrency = 7500*time.Millisecond, 60, 3
	e.Schedule = delivery.Schedule{0, time.Second, 1500 * time.Millisecond}
	e.Header, e.IncludeResult = map[string]string{"X-A": "1", "x-b": "\"2\""}, true
}

func endpointIsKept(f *hookFixture) {
	for _, edits := range [][]endpointEdit{{full}, nil, {disabled}} {
		e := f.newEndpoint(edits...)
		s := f.secret(tenant, e.ID)
		f.must(f.hooks.CreateEndpoint(f.t.Context(), e, s), "create an endpoint")
		f.same(f.watched(tenant, e.ID), delivery.Watched{Endpoint: e, PublicKey: s.PublicKey}, "endpoint")
	}
}

func endpointOfOthers(f *hookFixture) {
	ctx, e := f.t.Context(), f.endpoint()
	theirs := e
	theirs.Tenant, theirs.URL = "other", "https://other.example.com"
	d := f.told(e, time.Minute)
	f.told(f.endpoint(others), time.Minute)
	for doing, err := range map[string]error{
		"read":          second(f.hooks.Endpoint(ctx, "other", e.ID)),
		"change":        f.hooks.UpdateEndpoint(ctx, theirs),
		"delete":        f.hooks.DeleteEndpoint(ctx, "other", e.ID),
		"rotate":        second(f.hooks.RotateSecret(ctx, f.secret("other", e.ID), f.at(day))),
		"list":          second(f.hooks.Deliveries(ctx, delivery.Query{Tenant: "other", Endpoint: e.ID, Limit: 1})),
		"list of a job": second(f.hooks.Deliveries(ctx, delivery.Query{Tenant: "other", Job: d.Job, Limit: 1})),
		"redeliver":     second(f.hooks.Redeliver(ctx, "other", d.ID, f.now)),
		"list replays":  second(f.hooks.Replays(ctx, "other", e.ID)),
		"start a replay": second(f.hooks.StartReplay(ctx, delivery.Replay{
			ID: newID(f.t), Tenant: "other", Endpoint: e.ID, CreatedAt: f.now,
		})),
		"tell": second(f.hooks.Tell(ctx, f.event(func(v *delivery.Event) { v.Tenant, v.Only = "other", e.ID }))),
	} {
		f.mustBe(err, jobs.ErrNotFound, doing)
	}
	_, _, err := f.hooks.Delivery(ctx, "other", d.ID)
	f.mustBe(err, jobs.ErrNotFound, "read a delivery")
	has, err := f.hooks.HasSecret(ctx, "other", e.ID, f.now)
	f.must(err, "look for a secret")
	equal(f.fixture, has, false, "another's secret")
	f.same(f.watched(tenant, e.ID).Endpoint, e, "endpoint")
	f.same(f.is(d, delivery.StatusPending), d, "delivery")
	equal(f.fixture, len(f.deliveries(e)), 1, "deliveries")
}

// second returns the second of two results.
func second[T any](_ T, err error) error { return err }

// event returns one of no job.
func (f *hookFixture) event(edits ...func(e *delivery.Event)) delivery.Event {
	f.t.Helper()
	e := delivery.Event{
		Tenant: tenant, Type: delivery.LaneOpened, Data: []byte(`{ "lane":"sim"}`), CreatedAt: f.now, Trigger: delivery.TriggerEvent,
	}
	for _, edit := range edits {
		edit(&e)
	}
	if e.ID == uuid.Nil {
		var err error
		e.ID, err = delivery.NewEventID(e.CreatedAt)
		f.must(err, "make an event id")
	}
	return e
}

func (f *hookFixture) endpoints(before uuid.UUID, limit int) (ids []uuid.UUID) {
	f.t.Helper()
	list, err := f.hooks.Endpoints(f.t.Context(), tenant, before, limit)
	f.must(err, "list endpoints")
	for _, w := range list {
		ids = append(ids, w.ID)
	}
	return ids
}

func endpointsAreListed(f *hookFixture) {
	f.endpoint(others)
	var want []uuid.UUID
	for i := range 5 {
		want = append(want, f.endpoint(func(e *delivery.Endpoint) { e.CreatedAt = f.at(time.Duration(i) * time.Second) }).ID)
	}
	want = append(want, f.origin(func(e *delivery.Endpoint) { e.CreatedAt = f.at(time.Minute) }).ID)
	slices.Reverse(want)
	f.inOrder(f.endpoints(uuid.Nil, 10), want...)
	f.inOrder(f.endpoints(uuid.Nil, 2), want[:2]...)
	f.inOrder(f.endpoints(want[1], 3), want[2:5]...)
	f.inOrder(f.endpoints(want[5], 3))
	list, err := f.hooks.Endpoints(f.t.Context(), "nobody", uuid.Nil, 3)
	f.must(err, "list endpoints")
	equal(f.fixture, len(list), 0, "endpoints of nobody")
}

func endpointsAreBounded(f *hookFixture) {
	for range delivery.MaxEndpoints {
		f.endpoint()
	}
	e := f.newEndpoint()
	f.mustBe(f.hooks.CreateEndpoint(f.t.Context(), e, f.secret(tenant, e.ID)), delivery.ErrTooMany, "create one too many")
	_, err := f.hooks.Endpoint(f.t.Context(), tenant, e.ID)
	f.mustBe(err, jobs.ErrNotFound, "read one too many")
	f.endpoint(others)
	f.must(f.hooks.DeleteEndpoint(f.t.Context(), tenant, f.endpoints(uuid.Nil, 1)[0]), "delete an endpoint")
	f.endpoint()
}

func originsDoNotCount(f *hookFixture) {
	f.origin()
	for range delivery.MaxEndpoints {
		f.endpoint()
	}
	e := f.newEndpoint(func(e *delivery.Endpoint) {
		e.PerJob, e.ID = true, delivery.OriginID(tenant, "https://two.example.com")
	})
	f.must(f.hooks.EnsureEndpoint(f.t.Context(), e), "ensure an endpoint")
	f.watched(tenant, e.ID)
}

func endpointsRace(f *hookFixture) {
	for range delivery.MaxEndpoints - 1 {
		f.endpoint()
	}
	var created atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		e := f.newEndpoint()
		s := f.secret(tenant, e.ID)
		group.Go(func() {
			switch err := f.hooks.CreateEndpoint(f.t.Context(), e, s); {
			case err == nil:
				created.Add(1)
			case !errors.Is(err, delivery.ErrTooMany):
				f.t.Errorf("create: got error %v, want %v", err, delivery.ErrTooMany)
			}
		})
	}
	group.Wait()
	equal(f.fixture, created.Load(), 1, "created")
}

func originIsKeptOnce(f *hookFixture) {
	first := f.origin()
	again := first
	again.Timeout, again.CreatedAt = time.Minute, f.at(time.Hour)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() { f.check(f.hooks.EnsureEndpoint(f.t.Context(), again), "ensure an endpoint") })
	}
	group.Wait()
	f.same(f.watched(tenant, first.ID), delivery.Watched{Endpoint: first}, "endpoint")
	s := f.secret(tenant, delivery.TenantOwner(tenant))
	_, err := f.hooks.RotateSecret(f.t.Context(), s, f.now)
	f.must(err, "make the tenant's secret")
	equal(f.fixture, f.watched(tenant, first.ID).PublicKey, s.PublicKey, "public key: the tenant's")
}

func endpointIsChanged(f *hookFixture) {
	other := f.endpoint()
	e := f.endpoint(full)
	want := f.newEndpoint(disabled, wantingTypes("*"))
	want.ID, want.Version, want.ChangedAt = e.ID, 1, f.at(time.Hour)
	want.CreatedAt, want.PerJob = f.at(time.Hour), true // which do not change
	f.must(f.hooks.UpdateEndpoint(f.t.Context(), want), "change an endpoint")
	want.Version, want.CreatedAt, want.PerJob = 2, e.CreatedAt, false
	f.same(f.watched(tenant, e.ID).Endpoint, want, "endpoint")
	f.same(f.watched(tenant, other.ID).Endpoint, other, "another")
}

func endpointChangesOnce(f *hookFixture) {
	e := f.endpoint()
	var changed atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			switch err := f.hooks.UpdateEndpoint(f.t.Context(), e); {
			case err == nil:
				changed.Add(1)
			case !errors.Is(err, delivery.ErrChanged):
				f.t.Errorf("change: got error %v, want %v", err, delivery.ErrChanged)
			}
		})
	}
	group.Wait()
	equal(f.fixture, changed.Load(), 1, "changed")
	equal(f.fixture, f.watched(tenant, e.ID).Version, 2, "version")
	none := f.newEndpoint()
	f.mustBe(f.hooks.UpdateEndpoint(f.t.Context(), none), jobs.ErrNotFound, "change one that is not there")
}

func enabledStartsAnew(f *hookFixture) {
	e := f.endpoint()
	f.told(e, time.Minute)
	holder := f.hold(e, f.at(time.Minute))
	state := delivery.State{OpenUntil: f.at(time.Hour), Openings: 3, FailingSince: f.now, Failures: 20}
	f.must(f.hooks.SaveState(f.t.Context(), holder, delivery.StateChange{
		Endpoint: e.ID, State: state, Disable: delivery.DisabledFailing, At: f.at(2 * time.Minute),
	}), "save a state")
	f.letGo(holder, e)
	f.update(e, func(e *delivery.Endpoint) { e.Disabled = delivery.DisabledByTenant })
	f.same(f.watched(tenant, e.ID).State, state, "state while it is disabled")
	f.update(e, func(e *delivery.Endpoint) { e.Disabled = "" })
	f.same(f.watched(tenant, e.ID).State, delivery.State{}, "state")
	f.leases(f.lease(newID(f.t), f.at(3*time.Minute)), e)
}

func endpointIsDeleted(f *hookFixture) {
	ctx, e, stays := f.t.Context(), f.endpoint(), f.endpoint()
	pending, delivered := f.told(e, time.Minute), f.told(e, 2*time.Minute)
	f.record(f.ending(delivered, f.at(3*time.Minute), delivery.StatusDelivered))
	r := f.replay(e, nil)
	holder := newID(f.t)
	f.leases(f.lease(holder, f.at(time.Minute)), e, stays)
	f.must(f.hooks.DeleteEndpoint(ctx, tenant, e.ID), "delete an endpoint")
	f.mustBe(f.hooks.DeleteEndpoint(ctx, tenant, e.ID), jobs.ErrNotFound, "delete it again")
	_, err := f.hooks.Endpoint(ctx, tenant, e.ID)
	f.mustBe(err, jobs.ErrNotFound, "read it")
	f.gone(pending)
	_, err = f.hooks.Redeliver(ctx, tenant, pending.ID, f.now)
	f.mustBe(err, jobs.ErrNotFound, "redeliver what was for it")
	_, err = f.hooks.ReplayByID(ctx, tenant, r.ID)
	f.mustBe(err, jobs.ErrNotFound, "read a replay")
	has, err := f.hooks.HasSecret(ctx, tenant, e.ID, f.now)
	f.must(err, "look for a secret")
	equal(f.fixture, has, false, "secret")
	f.leases(f.renew(holder, f.now, e, stays), stays)
	f.answered("later", time.Minute)
	f.sweep(f.at(time.Hour))
	f.gone(pending)
	f.gone(delivered)
	list, err := f.hooks.Deliveries(ctx, delivery.Query{Tenant: tenant, Job: delivered.Job, Limit: 10})
	f.must(err, "list the deliveries of a job")
	equal(f.fixture, len(list), 1, "deliveries of its job: to the other endpoint")
	equal(f.fixture, len(f.deliveries(stays)), 3, "deliveries of the other endpoint")
}

func originComesBack(f *hookFixture) {
	e := f.origin()
	before := f.told(e, time.Minute, withWebhook(e))
	f.must(f.hooks.DeleteEndpoint(f.t.Context(), tenant, e.ID), "delete an endpoint")
	f.origin()
	f.gone(before)
	after := f.told(e, 2*time.Minute, withWebhook(e))
	f.sweep(f.at(time.Hour))
	f.is(after, delivery.StatusPending)
	f.inOrder(dueIDs(f.due(e.ID, f.at(time.Hour))), after.ID)
}
