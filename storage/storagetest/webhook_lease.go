package storagetest

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func leaseRules() []hookRule {
	return []hookRule{
		{"an endpoint with something due is leased as it is", leaseTellsAll},
		{"only what is enabled and has something due is leased", leaseOfTheDue},
		{"what is to be left alone is not leased before its time", leaseResumes},
		{"a lease is held by one", leaseIsOfOne},
		{"of many who look at once one gets it", leasesRace},
		{"limit bounds a look, and the rest is left", leaseLimit},
		{"a lease lasts as long as the timeout and the margin", leaseLasts},
		{"a lease that is over is another's to take", heldLeaseEnds},
		{"a lease is renewed by its holder", leaseIsRenewed},
		{"a lease does not become shorter", leaseGrowsNoShorter},
		{"a lease is given up by its holder", leaseIsReleased},
		{"who renews gets the endpoint as it is now", renewedAsNow},
		{"what signs: the current secret, and those that have not expired", leaseSecrets},
		{"the next due is of what may be leased", nextDue},
		{"who has something due, whoever holds it", dueAmong},
	}
}

func leaseTellsAll(f *hookFixture) {
	e := f.newEndpoint(full)
	e.Metadata = nil
	s := f.secret(tenant, e.ID)
	f.must(f.hooks.CreateEndpoint(f.t.Context(), e, s), "create an endpoint")
	f.told(e, time.Minute)
	got := f.lease(newID(f.t), f.at(time.Minute))
	f.leases(got, e)
	want := delivery.Watched{Endpoint: e, PublicKey: s.PublicKey}
	f.same(got[0], delivery.Leased{Watched: want, Secrets: []delivery.Secret{s}}, "leased")
	equal(f.fixture, got[0].Tenant, tenant, "tenant")
}

func leaseOfTheDue(f *hookFixture) {
	due, other, origin := f.endpoint(), f.endpoint(others), f.origin()
	off := f.endpoint()
	f.endpoint(wantingTypes(delivery.LaneOpened))
	later := f.endpoint(scheduled(time.Hour))
	f.answered("a", time.Minute, withWebhook(origin))
	f.answered("a", time.Minute, withTenant("other"))
	f.update(off, disabled)
	f.leases(f.lease(newID(f.t), f.at(time.Minute-time.Microsecond)))
	f.leases(f.lease(newID(f.t), f.at(time.Minute)), due, other, origin)
	f.leases(f.lease(newID(f.t), f.at(2*time.Hour)), later)
}

func leaseResumes(f *hookFixture) {
	e := f.endpoint()
	f.told(e, time.Minute)
	for i, state := range []delivery.State{
		{PausedUntil: f.at(time.Hour)}, {OpenUntil: f.at(2 * time.Hour)}, {PacedUntil: f.at(3 * time.Hour)},
	} {
		holder := f.hold(e, f.at(time.Duration(i)*time.Hour+time.Minute))
		f.save(holder, delivery.StateChange{Endpoint: e.ID, State: state})
		f.letGo(holder, e)
		resume := f.at(time.Duration(i+1) * time.Hour)
		f.leases(f.lease(newID(f.t), resume.Add(-time.Microsecond)))
		holder = f.hold(e, resume)
		f.letGo(holder, e)
	}
}

func leaseIsOfOne(f *hookFixture) {
	e := f.endpoint()
	f.told(e, time.Minute)
	first, second := newID(f.t), newID(f.t)
	f.leases(f.lease(first, f.at(time.Minute)), e)
	f.leases(f.lease(second, f.at(time.Minute)))
	f.leases(f.lease(first, f.at(time.Minute))) // who has it already asks for others
	f.leases(f.renew(second, f.now, e))
	f.letGo(second, e)
	f.leases(f.lease(second, f.at(time.Minute)))
}

func leasesRace(f *hookFixture) {
	const endpoints = 20
	for range endpoints {
		f.endpoint()
	}
	f.answered("a", time.Minute)
	var mu sync.Mutex
	var group sync.WaitGroup
	times := map[uuid.UUID]int{}
	for range 8 {
		holder := newID(f.t)
		group.Go(func() {
			leased, err := f.hooks.LeaseEndpoints(f.t.Context(), holder, f.at(time.Minute), 7)
			f.check(err, "lease")
			mu.Lock()
			defer mu.Unlock()
			for _, l := range leased {
				times[l.ID]++
			}
		})
	}
	group.Wait()
	for _, l := range f.lease(newID(f.t), f.at(time.Minute)) { // what they left to each other
		times[l.ID]++
	}
	equal(f.fixture, len(times), endpoints, "leased")
	for e, n := range times {
		equal(f.fixture, n, 1, "times that "+e.String()+" was leased")
	}
}

func leaseLimit(f *hookFixture) {
	a, b, c := f.endpoint(), f.endpoint(), f.endpoint()
	f.answered("a", time.Minute)
	var all []delivery.Leased
	for _, want := range []int{2, 1, 0} {
		got, err := f.hooks.LeaseEndpoints(f.t.Context(), newID(f.t), f.at(time.Minute), 2)
		f.must(err, "lease")
		equal(f.fixture, len(got), want, "leased")
		all = append(all, got...)
	}
	f.leases(all, a, b, c)
}

// long is how long a lease lasts in rules that see it end: more than all that happens
// before takes.
const long = 3 * time.Second

func leaseLasts(f *hookFixture) {
	e := f.endpoint(heldFor(long))
	f.told(e, time.Minute)
	before := time.Now()
	f.hold(e, f.at(time.Minute))
	f.takenOver(e)
	if lasted := time.Since(before); lasted < long {
		f.t.Fatalf("a lease of %v was another's after %v", long, lasted)
	}
}

// takenOver waits until another may lease the endpoint, and returns who.
func (f *hookFixture) takenOver(e delivery.Endpoint) uuid.UUID {
	f.t.Helper()
	holder := newID(f.t)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-tick.C {
		if got := f.lease(holder, f.at(time.Minute)); len(got) > 0 {
			f.leases(got, e)
			return holder
		}
	}
	f.t.Fatal("the lease does not end")
	return uuid.Nil
}

func heldLeaseEnds(f *hookFixture) {
	e := f.endpoint(heldFor(-time.Second))
	f.told(e, time.Minute)
	first := f.hold(e, f.at(time.Minute))
	f.leases(f.renew(first, f.now, e)) // nobody has it
	second := f.hold(e, f.at(time.Minute))
	f.letGo(first, e)
	f.update(e, heldFor(time.Hour))
	f.leases(f.renew(first, f.now, e))
	f.leases(f.renew(second, f.now, e))
	third := f.hold(e, f.at(time.Minute))
	f.letGo(first, e)
	f.leases(f.renew(third, f.now, e), e)
}

func leaseIsRenewed(f *hookFixture) {
	e, off, gone := f.endpoint(heldFor(long)), f.endpoint(), f.endpoint()
	f.answered("a", time.Minute)
	holder := newID(f.t)
	before := time.Now()
	f.leases(f.lease(holder, f.at(time.Minute)), e, off, gone)
	f.update(off, disabled)
	f.must(f.hooks.DeleteEndpoint(f.t.Context(), tenant, gone.ID), "delete an endpoint")
	f.update(e, heldFor(time.Hour))
	f.leases(f.renew(holder, f.now, e, off, gone, f.newEndpoint()), e)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for ; time.Since(before) < long+100*time.Millisecond; <-tick.C {
		f.leases(f.lease(newID(f.t), f.at(time.Minute)))
	}
	f.leases(f.lease(newID(f.t), f.at(time.Minute)))
}

func leaseGrowsNoShorter(f *hookFixture) {
	e := f.endpoint(heldFor(time.Hour))
	f.told(e, time.Minute)
	holder := f.hold(e, f.at(time.Minute))
	f.update(e, heldFor(-time.Second))
	f.leases(f.renew(holder, f.now, e), e)
	f.leases(f.lease(newID(f.t), f.at(time.Minute)))
	f.leases(f.renew(holder, f.now, e), e)
	f.letGo(holder, e)
	f.hold(e, f.at(time.Minute))
	f.hold(e, f.at(time.Minute)) // the next lease is as short as the endpoint says now
}

func leaseIsReleased(f *hookFixture) {
	e, kept := f.endpoint(), f.endpoint()
	f.answered("a", time.Minute)
	first := newID(f.t)
	f.leases(f.lease(first, f.at(time.Minute)), e, kept)
	f.letGo(first, e)
	f.leases(f.renew(first, f.now, e, kept), kept)
	second := f.hold(e, f.at(time.Minute))
	f.letGo(first, e, kept)
	f.leases(f.renew(second, f.now, e), e)
	f.hold(kept, f.at(time.Minute))
}

func renewedAsNow(f *hookFixture) {
	e := f.endpoint()
	f.told(e, time.Minute)
	holder := f.hold(e, f.at(time.Minute))
	f.update(e, full)
	s := f.secret(tenant, e.ID)
	s.CreatedAt = f.at(time.Minute)
	_, err := f.hooks.RotateSecret(f.t.Context(), s, f.now)
	f.must(err, "rotate")
	got := f.renew(holder, f.at(time.Minute), e)
	f.leases(got, e)
	f.same(got[0].Watched, f.watched(tenant, e.ID), "endpoint")
	f.same(got[0].Secrets, []delivery.Secret{s}, "secrets")
}

func leaseSecrets(f *hookFixture) {
	origin := f.origin()
	f.told(origin, time.Minute, withWebhook(origin))
	holder := newID(f.t)
	got := f.lease(holder, f.at(time.Minute))
	f.leases(got, origin)
	equal(f.fixture, len(got[0].Secrets), 0, "secrets of a tenant that has none")
	var all []delivery.Secret
	for i, until := range []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour} {
		s := f.secret(tenant, delivery.TenantOwner(tenant))
		s.CreatedAt = f.at(time.Duration(i) * time.Second)
		_, err := f.hooks.RotateSecret(f.t.Context(), s, f.at(until))
		f.must(err, "rotate")
		if i > 0 {
			all[0].ExpiresAt = f.at(until)
		}
		all = append([]delivery.Secret{s}, all...)
	}
	for at, n := range map[time.Duration]int{
		time.Minute: 3, 2*time.Hour - time.Microsecond: 3, 2 * time.Hour: 2, 3 * time.Hour: 1, 1000 * day: 1,
	} {
		f.same(f.renew(holder, f.at(at), origin)[0].Secrets, all[:n], "secrets after "+at.String())
	}
}

func (f *hookFixture) nextDue(at time.Time) time.Time {
	f.t.Helper()
	next, err := f.hooks.NextDue(f.t.Context(), at)
	f.must(err, "look for what is due next")
	return next
}

func nextDue(f *hookFixture) {
	equal(f.fixture, f.nextDue(f.now), time.Time{}, "next of nothing")
	now, soon, late := f.endpoint(), f.endpoint(scheduled(time.Hour)), f.endpoint(scheduled(2*time.Hour))
	off := f.endpoint(scheduled(time.Minute))
	f.answered("a", 0)
	f.update(off, disabled)
	equal(f.fixture, f.nextDue(f.at(-time.Second)), f.now, "next")
	equal(f.fixture, f.nextDue(f.now), f.at(time.Hour), "next after what is due now")
	equal(f.fixture, f.nextDue(f.at(2*time.Hour)), time.Time{}, "next after all")
	holder := newID(f.t)
	f.leases(f.lease(holder, f.at(time.Hour)), now, soon)
	equal(f.fixture, f.nextDue(f.now), f.at(2*time.Hour), "next of those that nobody holds")
	f.save(holder, delivery.StateChange{Endpoint: soon.ID, State: delivery.State{PausedUntil: f.at(10 * time.Minute)}})
	f.letGo(holder, now, soon)
	equal(f.fixture, f.nextDue(f.now), f.at(2*time.Hour), "next of those that are not left alone")
	equal(f.fixture, f.nextDue(f.at(10*time.Minute)), f.at(time.Hour), "next when it is left alone no more")
	f.must(f.hooks.DeleteEndpoint(f.t.Context(), tenant, late.ID), "delete an endpoint")
	equal(f.fixture, f.nextDue(f.at(time.Hour)), time.Time{}, "next of what is deleted")
}

func dueAmong(f *hookFixture) {
	held, free, off, gone := f.endpoint(), f.endpoint(others), f.endpoint(), f.endpoint()
	later, bulk := f.endpoint(scheduled(time.Hour)), f.endpoint()
	j := f.answered("a", time.Minute)
	f.answered("b", time.Minute, withTenant("other"))
	for _, d := range f.deliveries(bulk) {
		f.record(f.ending(d, f.at(time.Minute), delivery.StatusFailed))
	}
	f.replay(bulk, nil)
	f.sweep(j.FinishedAt)
	f.update(off, disabled)
	f.must(f.hooks.DeleteEndpoint(f.t.Context(), tenant, gone.ID), "delete an endpoint")
	f.lease(newID(f.t), f.at(time.Minute))
	for at, want := range map[time.Duration][]uuid.UUID{
		time.Second: nil, time.Minute: {held.ID, free.ID, bulk.ID}, 2 * time.Hour: {held.ID, free.ID, bulk.ID, later.ID},
	} {
		got, err := f.hooks.DueAmong(f.t.Context(),
			[]uuid.UUID{held.ID, free.ID, off.ID, gone.ID, later.ID, bulk.ID, newID(f.t)}, f.at(at))
		f.must(err, "look who has something due")
		f.sameIDs(got, want...)
	}
	got, err := f.hooks.DueAmong(f.t.Context(), []uuid.UUID{later.ID}, f.at(time.Minute))
	f.must(err, "look who has something due")
	f.sameIDs(got)
}
