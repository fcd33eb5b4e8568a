package storagetest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/tenantkey"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// WebhookStore keeps jobs, and endpoints with what is delivered to them.
type WebhookStore interface {
	jobs.Store
	tenantkey.Store
	delivery.Store
}

// hookRule is one thing that every [delivery.Store] does.
type hookRule struct {
	name  string
	check func(f *hookFixture)
}

// RunWebhooks checks what every [delivery.Store] does, each rule in parallel on a fresh
// store: see [Run].
func RunWebhooks(t *testing.T, open func(t *testing.T) WebhookStore) {
	t.Helper()
	for _, theme := range []struct {
		name  string
		rules []hookRule
	}{
		{"endpoint", endpointRules()},
		{"end", endRules()},
		{"response", responseRules()},
		{"lease", leaseRules()},
		{"due", dueRules()},
		{"record", recordRules()},
		{"state", stateRules()},
		{"secret", secretRules()},
		{"tell", tellRules()},
		{"delivery", deliveryRules()},
		{"replay", replayRules()},
		{"sweep", sweepRules()},
		{"race", hookRaceRules()},
	} {
		t.Run(theme.name, func(t *testing.T) {
			t.Parallel()
			runHookRules(t, theme.rules, open)
		})
	}
}

func runHookRules(t *testing.T, rules []hookRule, open func(t *testing.T) WebhookStore) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			r.check(&hookFixture{fixture: newFixture(t, s), keys: s, hooks: s})
		})
	}
}

type hookFixture struct {
	*fixture

	keys  tenantkey.Store
	hooks delivery.Store
}

// same fails the test unless got is want. Nil and empty are the same.
func (f *hookFixture) same(got, want any, what string) {
	f.t.Helper()
	if !reflect.DeepEqual(got, want) && fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		f.t.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

type endpointEdit func(e *delivery.Endpoint)

func others(e *delivery.Endpoint) { e.Tenant = "other" }

func wantingTypes(types ...string) endpointEdit {
	return func(e *delivery.Endpoint) { e.Types = types }
}

func wantingMetadata(m map[string]string) endpointEdit {
	return func(e *delivery.Endpoint) { e.Metadata = m }
}

func scheduled(s ...time.Duration) endpointEdit {
	return func(e *delivery.Endpoint) { e.Schedule = s }
}

// heldFor makes leases of an endpoint last so long, which no endpoint asks for.
func heldFor(d time.Duration) endpointEdit {
	return func(e *delivery.Endpoint) { e.Timeout = d - delivery.LeaseMargin }
}

func disabled(e *delivery.Endpoint) { e.Disabled = delivery.DisabledByTenant }

// newEndpoint returns an endpoint that wants all.
func (f *hookFixture) newEndpoint(edits ...endpointEdit) delivery.Endpoint {
	f.t.Helper()
	e := delivery.Endpoint{
		ID: newID(f.t), Tenant: tenant, URL: "https://example.com/hook", Version: 1, CreatedAt: f.now, ChangedAt: f.now,
	}
	for _, edit := range edits {
		edit(&e)
	}
	return e
}

// endpoint keeps an endpoint.
func (f *hookFixture) endpoint(edits ...endpointEdit) delivery.Endpoint {
	f.t.Helper()
	e := f.newEndpoint(edits...)
	f.must(f.hooks.CreateEndpoint(f.t.Context(), e, f.secret(e.Tenant, e.ID)), "create an endpoint")
	return e
}

// secret returns a new secret of an owner.
func (f *hookFixture) secret(tenant string, owner uuid.UUID) delivery.Secret {
	f.t.Helper()
	k := newID(f.t)
	return delivery.Secret{
		ID: k, Tenant: tenant, Owner: owner, Key: "key of " + k.String(), KeyID: newID(f.t), PublicKey: "public " + k.String(),
		CreatedAt: f.now,
	}
}

// origin keeps the endpoint that stands for the webhooks of a tenant's jobs.
func (f *hookFixture) origin(edits ...endpointEdit) delivery.Endpoint {
	f.t.Helper()
	e := f.newEndpoint(edits...)
	e.PerJob, e.URL = true, "https://example.com"
	e.ID = delivery.OriginID(e.Tenant, e.URL)
	f.must(f.hooks.EnsureEndpoint(f.t.Context(), e), "ensure an endpoint")
	return e
}

func (f *hookFixture) watched(tenant string, endpoint uuid.UUID) delivery.Watched {
	f.t.Helper()
	w, err := f.hooks.Endpoint(f.t.Context(), tenant, endpoint)
	f.must(err, "read an endpoint")
	return w
}

// update changes an endpoint as it is now.
func (f *hookFixture) update(e delivery.Endpoint, edits ...endpointEdit) {
	f.t.Helper()
	now := f.watched(e.Tenant, e.ID).Endpoint
	for _, edit := range edits {
		edit(&now)
	}
	f.must(f.hooks.UpdateEndpoint(f.t.Context(), now), "change an endpoint")
}

// deliveries lists those of an endpoint, newest first.
func (f *hookFixture) deliveries(e delivery.Endpoint) []delivery.Delivery {
	f.t.Helper()
	list, err := f.hooks.Deliveries(f.t.Context(), delivery.Query{Tenant: e.Tenant, Endpoint: e.ID, Limit: 1000})
	f.must(err, "list deliveries")
	return list
}

// one returns the one delivery of an endpoint.
func (f *hookFixture) one(e delivery.Endpoint) delivery.Delivery {
	f.t.Helper()
	list := f.deliveries(e)
	if len(list) != 1 {
		f.t.Fatalf("deliveries: got %d, want 1: %+v", len(list), list)
	}
	return list[0]
}

// now returns a delivery as it is, with its attempts.
func (f *hookFixture) deliveryNow(d delivery.Delivery) (delivery.Delivery, []delivery.Record) {
	f.t.Helper()
	got, attempts, err := f.hooks.Delivery(f.t.Context(), d.Tenant, d.ID)
	f.must(err, "read a delivery")
	return got, attempts
}

// is asserts the status of a delivery, and returns it.
func (f *hookFixture) is(d delivery.Delivery, want delivery.Status) delivery.Delivery {
	f.t.Helper()
	got, _ := f.deliveryNow(d)
	if got.Status != want {
		f.t.Fatalf("status of delivery %s: got %s, want %s", d.ID, got.Status, want)
	}
	return got
}

// gone asserts that nothing is left of a delivery.
func (f *hookFixture) gone(d delivery.Delivery) {
	f.t.Helper()
	_, _, err := f.hooks.Delivery(f.t.Context(), d.Tenant, d.ID)
	f.mustBe(err, jobs.ErrNotFound, "read a delivery that is gone")
	for _, due := range f.due(d.Endpoint, f.at(1000*day)) {
		if due.ID == d.ID {
			f.t.Fatalf("delivery %s is gone, and due", d.ID)
		}
	}
}

func (f *hookFixture) due(endpoint uuid.UUID, at time.Time) []delivery.Due {
	f.t.Helper()
	due, err := f.hooks.Due(f.t.Context(), endpoint, at, 1000)
	f.must(err, "list what is due")
	return due
}

// told ends a job at the given time and returns the delivery of that to the endpoint.
func (f *hookFixture) told(e delivery.Endpoint, at time.Duration, edits ...edit) delivery.Delivery {
	f.t.Helper()
	j := f.answered(uuid.NewString(), at, append([]edit{withTenant(e.Tenant)}, edits...)...)
	list, err := f.hooks.Deliveries(f.t.Context(), delivery.Query{Tenant: e.Tenant, Job: j.ID, Endpoint: e.ID, Limit: 2})
	f.must(err, "list the deliveries of a job")
	if len(list) != 1 {
		f.t.Fatalf("deliveries of job %s: got %+v, want one", j.ID, list)
	}
	return list[0]
}

// lease takes what holder may have at the given time.
func (f *hookFixture) lease(holder uuid.UUID, at time.Time) []delivery.Leased {
	f.t.Helper()
	leased, err := f.hooks.LeaseEndpoints(f.t.Context(), holder, at, 100)
	f.must(err, "lease endpoints")
	return leased
}

// hold leases the one endpoint that has something due, and returns who holds it.
func (f *hookFixture) hold(e delivery.Endpoint, at time.Time) uuid.UUID {
	f.t.Helper()
	holder := newID(f.t)
	f.leases(f.lease(holder, at), e)
	return holder
}

// leases fails the test unless those endpoints were leased, in any order.
func (f *hookFixture) leases(got []delivery.Leased, want ...delivery.Endpoint) {
	f.t.Helper()
	ids := make([]uuid.UUID, len(got))
	for i, l := range got {
		ids[i] = l.ID
	}
	wanted := make([]uuid.UUID, len(want))
	for i, e := range want {
		wanted[i] = e.ID
	}
	f.sameIDs(ids, wanted...)
}

func (f *hookFixture) letGo(holder uuid.UUID, endpoints ...delivery.Endpoint) {
	f.t.Helper()
	var ids []uuid.UUID
	for _, e := range endpoints {
		ids = append(ids, e.ID)
	}
	f.must(f.hooks.ReleaseEndpoints(f.t.Context(), holder, ids), "release endpoints")
}

// attempt returns the next attempt of a delivery as it is now, begun at the given time,
// that failed and leaves it pending for a minute.
func (f *hookFixture) attempt(d delivery.Delivery, at time.Time) delivery.Record {
	f.t.Helper()
	now, _ := f.deliveryNow(d)
	return attemptOf(now, at)
}

// attemptOf returns that of one who has seen the delivery so.
func attemptOf(d delivery.Delivery, at time.Time) delivery.Record {
	return delivery.Record{
		Attempt: delivery.Attempt{
			Verdict: delivery.Failed, Failure: delivery.FailureStatus, Status: 500, Latency: 20 * time.Millisecond,
			RemoteAddr: "192.0.2.1:443", Answer: []byte("no"),
		},
		Delivery: d.ID, Endpoint: d.Endpoint, Tenant: d.Tenant, N: d.Attempts + 1, Trigger: d.Trigger, At: at,
		Status: delivery.StatusPending, Step: d.Step + 1, DueAt: at.Add(time.Minute),
	}
}

// ending returns the next attempt of a delivery, with which it has that status.
func (f *hookFixture) ending(d delivery.Delivery, at time.Time, status delivery.Status) delivery.Record {
	f.t.Helper()
	now, _ := f.deliveryNow(d)
	return endingOf(now, at, status)
}

// endingOf returns that of one who has seen the delivery so.
func endingOf(d delivery.Delivery, at time.Time, status delivery.Status) delivery.Record {
	r := attemptOf(d, at)
	r.Status, r.DueAt = status, time.Time{}
	if status == delivery.StatusDelivered {
		r.Attempt = delivery.Attempt{
			Verdict: delivery.Delivered, Status: 204, Latency: 20 * time.Millisecond, RemoteAddr: "192.0.2.1:443",
		}
	}
	return r
}

func (f *hookFixture) record(records ...delivery.Record) {
	f.t.Helper()
	f.must(f.hooks.Record(f.t.Context(), records), "record attempts")
}

func idsOf(list []delivery.Delivery) []uuid.UUID {
	ids := make([]uuid.UUID, len(list))
	for i, d := range list {
		ids[i] = d.ID
	}
	return ids
}

func dueIDs(list []delivery.Due) []uuid.UUID {
	ids := make([]uuid.UUID, len(list))
	for i, d := range list {
		ids[i] = d.ID
	}
	return ids
}

// inOrder fails the test unless both hold the same ids in the same order.
func (f *hookFixture) inOrder(got []uuid.UUID, want ...uuid.UUID) {
	f.t.Helper()
	if !slices.Equal(got, want) {
		f.t.Fatalf("ids in order:\n got %v\nwant %v", got, want)
	}
}

// renew renews leases and returns what it could.
func (f *hookFixture) renew(holder uuid.UUID, at time.Time, endpoints ...delivery.Endpoint) []delivery.Leased {
	f.t.Helper()
	var ids []uuid.UUID
	for _, e := range endpoints {
		ids = append(ids, e.ID)
	}
	renewed, err := f.hooks.RenewEndpoints(f.t.Context(), holder, ids, at)
	f.must(err, "renew endpoints")
	return renewed
}

// replay starts a replay of all that has finished, unless edit says otherwise.
func (f *hookFixture) replay(e delivery.Endpoint, edit func(r *delivery.Replay)) delivery.Replay {
	f.t.Helper()
	r := delivery.Replay{ID: newID(f.t), Tenant: e.Tenant, Endpoint: e.ID, CreatedAt: f.at(time.Hour)}
	if edit != nil {
		edit(&r)
	}
	got, err := f.hooks.StartReplay(f.t.Context(), r)
	f.must(err, "start a replay")
	return got
}

// sweep does all that is left to do, and returns how much that was.
func (f *hookFixture) sweep(at time.Time) (done int) {
	f.t.Helper()
	for {
		n, err := f.hooks.Sweep(f.t.Context(), at, 1000)
		f.must(err, "sweep")
		if done += n; n == 0 {
			return done
		}
		if n > 1000 {
			f.t.Fatalf("swept %d at once, want 1000 at most", n)
		}
	}
}

func (f *hookFixture) redeliver(d delivery.Delivery, at time.Time) delivery.Delivery {
	f.t.Helper()
	got, err := f.hooks.Redeliver(f.t.Context(), d.Tenant, d.ID, at)
	f.must(err, "redeliver")
	return got
}
