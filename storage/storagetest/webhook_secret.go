package storagetest

import (
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func secretRules() []hookRule {
	return []hookRule{
		{"the secret before signs on until its time, at most", secretOverlaps},
		{"without overlap the secret before is gone", secretReplacedAtOnce},
		{"only so many sign at a time, the oldest go", secretsAreBounded},
		{"a tenant's secret needs no endpoint, an endpoint's does", secretOwners},
		{"a secret that has expired is none", secretExpires},
	}
}

// rotate makes a new secret the owner's and returns it, and how many are left besides.
func (f *hookFixture) rotate(owner uuid.UUID, at, until time.Time) (delivery.Secret, int) {
	f.t.Helper()
	s := f.secret(tenant, owner)
	s.CreatedAt = at
	left, err := f.hooks.RotateSecret(f.t.Context(), s, until)
	f.must(err, "rotate a secret")
	return s, left
}

// signing lists the keys that sign for the one endpoint that holder holds, by the time.
func (f *hookFixture) signing(holder uuid.UUID, e delivery.Endpoint, at time.Time) (keys []string) {
	f.t.Helper()
	renewed := f.renew(holder, at, e)
	f.leases(renewed, e)
	for _, s := range renewed[0].Secrets {
		keys = append(keys, s.Key)
	}
	return keys
}

func secretOverlaps(f *hookFixture) {
	e := f.newEndpoint()
	first := f.secret(tenant, e.ID)
	f.must(f.hooks.CreateEndpoint(f.t.Context(), e, first), "create an endpoint")
	f.told(e, time.Minute)
	holder := f.hold(e, f.at(time.Minute))
	second, left := f.rotate(e.ID, f.at(time.Hour), f.at(25*time.Hour))
	equal(f.fixture, left, 1, "left besides the second")
	third, left := f.rotate(e.ID, f.at(2*time.Hour), f.at(3*time.Hour))
	equal(f.fixture, left, 2, "left besides the third")
	f.same(f.signing(holder, e, f.at(2*time.Hour)), []string{third.Key, second.Key, first.Key}, "keys")
	f.same(f.signing(holder, e, f.at(3*time.Hour)), []string{third.Key}, "keys: the first signs no longer for the third")
	fourth, left := f.rotate(e.ID, f.at(2*time.Hour), f.at(100*time.Hour))
	equal(f.fixture, left, 3, "left besides the fourth")
	f.same(f.signing(holder, e, f.at(3*time.Hour)), []string{fourth.Key, third.Key}, "keys")
	f.same(f.signing(holder, e, f.at(100*time.Hour)), []string{fourth.Key}, "keys")
	equal(f.fixture, f.watched(tenant, e.ID).PublicKey, fourth.PublicKey, "public key")
	_, left = f.rotate(e.ID, f.at(50*time.Hour), f.at(1000*time.Hour))
	equal(f.fixture, left, 2, "left besides the fifth, when two have expired")
}

func secretReplacedAtOnce(f *hookFixture) {
	e := f.endpoint()
	f.told(e, time.Minute)
	holder := f.hold(e, f.at(time.Minute))
	for _, until := range []time.Time{f.at(time.Hour), {}} {
		s, left := f.rotate(e.ID, f.at(time.Hour), until)
		equal(f.fixture, left, 0, "left")
		f.same(f.signing(holder, e, f.now), []string{s.Key}, "keys")
	}
}

func secretsAreBounded(f *hookFixture) {
	e := f.endpoint()
	f.told(e, time.Minute)
	holder := f.hold(e, f.at(time.Minute))
	var want []string
	for i := range 2 * delivery.MaxSecrets {
		s, left := f.rotate(e.ID, f.at(time.Duration(i+1)*time.Second), f.at(day))
		equal(f.fixture, left, min(i+1, delivery.MaxSecrets-1), "left")
		want = append([]string{s.Key}, want...)
	}
	f.same(f.signing(holder, e, f.at(time.Minute)), want[:delivery.MaxSecrets], "keys")
}

func secretOwners(f *hookFixture) {
	_, left := f.rotate(delivery.TenantOwner(tenant), f.now, f.now)
	equal(f.fixture, left, 0, "left")
	for owner, want := range map[uuid.UUID]bool{
		delivery.TenantOwner(tenant): true, delivery.TenantOwner("other"): false, newID(f.t): false,
	} {
		has, err := f.hooks.HasSecret(f.t.Context(), tenant, owner, f.now)
		f.must(err, "look for a secret")
		equal(f.fixture, has, want, "has a secret")
	}
	_, err := f.hooks.RotateSecret(f.t.Context(), f.secret(tenant, newID(f.t)), f.now)
	f.mustBe(err, jobs.ErrNotFound, "rotate the secret of none")
	_, err = f.hooks.RotateSecret(f.t.Context(), f.secret(tenant, delivery.TenantOwner("other")), f.now)
	f.mustBe(err, jobs.ErrNotFound, "rotate the secret of another tenant")
}

func secretExpires(f *hookFixture) {
	e := f.newEndpoint()
	s := f.secret(tenant, e.ID)
	s.ExpiresAt = f.at(time.Hour)
	f.must(f.hooks.CreateEndpoint(f.t.Context(), e, s), "create an endpoint")
	equal(f.fixture, f.watched(tenant, e.ID).PublicKey, "", "public key: none is the current one's")
	for at, want := range map[time.Duration]bool{time.Hour - time.Microsecond: true, time.Hour: false} {
		has, err := f.hooks.HasSecret(f.t.Context(), tenant, e.ID, f.at(at))
		f.must(err, "look for a secret")
		equal(f.fixture, has, want, "has a secret after "+at.String())
	}
}
