package storagetest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/tenantkey"
)

// KeyStore keeps jobs and the keys of their tenants.
type KeyStore interface {
	jobs.Store
	tenantkey.Store
}

// RunKeys checks what every [tenantkey.Store] does, each rule in parallel on a
// fresh store: see [Run].
func RunKeys(t *testing.T, open func(t *testing.T) KeyStore) {
	t.Helper()
	for _, r := range []struct {
		name  string
		check func(f *keyFixture)
	}{
		{"there is no key at first", noKeyAtFirst},
		{"the first key is active", firstKeyIsActive},
		{"a key is replaced by whoever knows it", keyIsReplaced},
		{"of many who add a key one wins", oneKeyWins},
		{"keys are put under another secret", keysAreRewrapped},
		{"what was rewrapped is not rewrapped again", rewrapComparesAndSets},
		{"an erased key is a record without bytes", erasedKeyHasNoBytes},
		{"an erasure is repeated", erasureIsRepeatable},
		{"an erasure is of one tenant", erasureIsOfOneTenant},
		{"an erasure ends what can be read by none", erasureEndsTheUnreadable},
		{"an erasure ends very many jobs", erasureEndsVeryMany},
		{"invariant 2: a run that was erased is stale", erasedRunIsStale},
		{"a result that was erased is not copied", erasedIsNotCopied},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			r.check(&keyFixture{fixture: newFixture(t, s), keys: s})
		})
	}
}

type keyFixture struct {
	*fixture

	keys tenantkey.Store
}

// key returns a new key of a tenant, wrapped under the named secret.
func (f *keyFixture) key(tenant, kek string) tenantkey.Key {
	f.t.Helper()
	return tenantkey.Key{
		ID: newID(f.t), Tenant: tenant, Wrapped: []byte("wrapped under " + kek), KEK: kek, CreatedAt: f.now,
	}
}

func (f *keyFixture) add(k tenantkey.Key, replaces uuid.UUID) tenantkey.Key {
	f.t.Helper()
	active, err := f.keys.AddKey(f.t.Context(), k, replaces)
	f.must(err, "add a key")
	return active
}

func (f *keyFixture) isKey(got, want tenantkey.Key) {
	f.t.Helper()
	if !bytes.Equal(got.Wrapped, want.Wrapped) {
		f.t.Fatalf("key: got wrapped %q, want %q", got.Wrapped, want.Wrapped)
	}
	got.Wrapped, want.Wrapped = nil, nil
	if fmt.Sprint(got) != fmt.Sprint(want) {
		f.t.Fatalf("key:\n got %+v\nwant %+v", got, want)
	}
}

func (f *keyFixture) active(tenant string) tenantkey.Key {
	f.t.Helper()
	k, err := f.keys.ActiveKey(f.t.Context(), tenant)
	f.must(err, "read the active key")
	return k
}

func (f *keyFixture) byID(id uuid.UUID) tenantkey.Key {
	f.t.Helper()
	k, err := f.keys.KeyByID(f.t.Context(), id)
	f.must(err, "read a key")
	return k
}

// why is the reason erasures give.
func why() jobs.JobError { return jobs.JobError{Code: jobs.CodeErased, Message: "it was erased"} }

func (f *keyFixture) erase(tenant string) tenantkey.Erased {
	f.t.Helper()
	erased, err := f.keys.Erase(f.t.Context(), tenant, f.at(time.Minute), why())
	f.must(err, "erase")
	return erased
}

func sealedWith(id uuid.UUID) edit { return func(s *jobs.Submission) { s.Request.KeyID = id } }

func noKeyAtFirst(f *keyFixture) {
	_, err := f.keys.ActiveKey(f.t.Context(), tenant)
	f.mustBe(err, tenantkey.ErrNoKey, "read the active key")
	_, err = f.keys.KeyByID(f.t.Context(), newID(f.t))
	f.mustBe(err, tenantkey.ErrNoKey, "read a key")
	keks, err := f.keys.KEKs(f.t.Context())
	f.must(err, "list secrets")
	equal(f.fixture, len(keks), 0, "secrets")
	equal(f.fixture, f.erase(tenant).Keys, 0, "erased keys")
}

func firstKeyIsActive(f *keyFixture) {
	k := f.key(tenant, "one")
	f.isKey(f.add(k, uuid.Nil), k)
	f.isKey(f.active(tenant), k)
	f.isKey(f.byID(k.ID), k)
	f.isKey(f.add(f.key(tenant, "one"), uuid.Nil), k)
	_, err := f.keys.ActiveKey(f.t.Context(), "other")
	f.mustBe(err, tenantkey.ErrNoKey, "read another tenant's active key")
}

func keyIsReplaced(f *keyFixture) {
	old, next := f.key(tenant, "one"), f.key(tenant, "one")
	next.CreatedAt = f.at(time.Hour)
	f.add(old, uuid.Nil)
	f.isKey(f.add(next, old.ID), next)
	f.isKey(f.active(tenant), next)
	f.isKey(f.add(f.key(tenant, "one"), old.ID), next)
	old.RetiredAt = next.CreatedAt
	f.isKey(f.byID(old.ID), old)
}

func oneKeyWins(f *keyFixture) {
	old := f.add(f.key(tenant, "one"), uuid.Nil)
	got := make([]tenantkey.Key, 8)
	var all sync.WaitGroup
	for i := range got {
		k := f.key(tenant, "one")
		all.Go(func() {
			var err error
			if got[i], err = f.keys.AddKey(f.t.Context(), k, old.ID); err != nil {
				f.t.Errorf("add a key: %v", err)
			}
		})
	}
	all.Wait()
	for _, k := range got {
		f.isKey(k, f.active(tenant))
	}
	if got[0].ID == old.ID {
		f.t.Fatal("no key replaced the old one")
	}
}

func keysAreRewrapped(f *keyFixture) {
	first := f.add(f.key("a", "old"), uuid.Nil)
	f.add(f.key("b", "new"), uuid.Nil)
	third := f.add(f.key("c", "older"), uuid.Nil)
	f.add(f.key("gone", "old"), uuid.Nil)
	f.erase("gone")

	keks, err := f.keys.KEKs(f.t.Context())
	f.must(err, "list secrets")
	equal(f.fixture, fmt.Sprint(keks), "[new old older]", "secrets")
	list, err := f.keys.KeysNotUnder(f.t.Context(), "new", uuid.Nil, 1)
	f.must(err, "list keys")
	equal(f.fixture, len(list), 1, "keys on the first page")
	f.isKey(list[0], first)
	list, err = f.keys.KeysNotUnder(f.t.Context(), "new", first.ID, 10)
	f.must(err, "list keys")
	equal(f.fixture, len(list), 1, "keys on the last page")
	f.isKey(list[0], third)

	moved := first
	moved.Wrapped, moved.KEK = []byte("anew"), "new"
	done, err := f.keys.RewrapKey(f.t.Context(), moved, "old")
	f.must(err, "rewrap")
	equal(f.fixture, done, true, "rewrapped")
	f.isKey(f.active("a"), moved)
}

func rewrapComparesAndSets(f *keyFixture) {
	k := f.add(f.key(tenant, "new"), uuid.Nil)
	other := k
	other.Wrapped = []byte("by one that knows less")
	done, err := f.keys.RewrapKey(f.t.Context(), other, "old")
	f.must(err, "rewrap")
	equal(f.fixture, done, false, "rewrapped from a secret it is not under")
	f.isKey(f.byID(k.ID), k)

	f.erase(tenant)
	done, err = f.keys.RewrapKey(f.t.Context(), other, "new")
	f.must(err, "rewrap")
	equal(f.fixture, done, false, "rewrapped what was erased")
	equal(f.fixture, len(f.byID(k.ID).Wrapped), 0, "bytes of an erased key")
}

func erasedKeyHasNoBytes(f *keyFixture) {
	old := f.add(f.key(tenant, "one"), uuid.Nil)
	next := f.key(tenant, "one")
	next.CreatedAt = f.at(time.Second)
	f.add(next, old.ID)
	equal(f.fixture, f.erase(tenant).Keys, 2, "erased keys")
	_, err := f.keys.ActiveKey(f.t.Context(), tenant)
	f.mustBe(err, tenantkey.ErrNoKey, "read the active key")

	old.Wrapped, old.RetiredAt, old.ErasedAt = nil, f.at(time.Second), f.at(time.Minute)
	f.isKey(f.byID(old.ID), old)
	next.Wrapped, next.RetiredAt, next.ErasedAt = nil, f.at(time.Minute), f.at(time.Minute)
	f.isKey(f.byID(next.ID), next)

	again := f.add(f.key(tenant, "one"), uuid.Nil)
	f.isKey(f.active(tenant), again)
}

func erasureIsRepeatable(f *keyFixture) {
	k := f.add(f.key(tenant, "one"), uuid.Nil)
	f.submit("a", sealedWith(k.ID))
	equal(f.fixture, f.erase(tenant).Before, 0, "keys erased before the first time")
	again := f.erase(tenant)
	if again.Keys != 0 || again.Before != 1 || again.Executions != 0 || len(again.Ended) != 0 {
		f.t.Fatalf("erased again: got %+v, want nothing, and one key before", again)
	}
	equal(f.fixture, f.byID(k.ID).ErasedAt, f.at(time.Minute), "erased at")
}

func erasureIsOfOneTenant(f *keyFixture) {
	f.add(f.key(tenant, "one"), uuid.Nil)
	other := f.add(f.key("other", "one"), uuid.Nil)
	job := f.submit("a", withTenant("other"), sealedWith(other.ID)).Job
	f.erase(tenant)
	f.isKey(f.active("other"), other)
	equal(f.fixture, f.jobOf("other", job.ID).Status, jobs.StatusQueued, "another tenant's job")
}

// refused asserts that the job failed because of the erasure.
func (f *keyFixture) refused(id uuid.UUID) {
	f.t.Helper()
	j := f.ended(id, jobs.StatusFailed)
	if j.Error == nil || *j.Error != why() {
		f.t.Fatalf("job %s: got error %+v, want %+v", id, j.Error, why())
	}
	equal(f.fixture, j.FinishedAt, f.at(time.Minute), "finished at")
}

func erasureEndsTheUnreadable(f *keyFixture) {
	k := f.add(f.key(tenant, "one"), uuid.Nil)
	running, work, w := f.running("running", sealedWith(k.ID))
	attached := f.submit("running", sealedWith(k.ID)).Job
	released := f.submit("released", sealedWith(k.ID)).Job
	f.release(f.now)
	queued := f.submit("queued", sealedWith(k.ID)).Job
	plain := f.submit("plain").Job

	erased := f.erase(tenant)
	f.sameIDs(erased.Ended, running.ID, attached.ID, released.ID, queued.ID)
	equal(f.fixture, erased.Executions, 3, "executions")
	for _, id := range erased.Ended {
		f.refused(id)
	}
	f.live(plain.ID)
	equal(f.fixture, len(f.beat(w, work.Task)), 1, "runs that are obsolete")
	tasks := f.releaseAll(f.at(time.Minute))
	equal(f.fixture, len(tasks), 1, "releases of what is left")
	equal(f.fixture, tasks[0].Execution, f.job(plain.ID).ExecutionID, "what is left")
	equal(f.fixture, f.submit("queued").Job.Deduplicated, false, "attached to what was erased")
}

func erasureEndsVeryMany(f *keyFixture) {
	k := f.add(f.key(tenant, "one"), uuid.Nil)
	var ids []uuid.UUID
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for n := range 80 {
				name := "shared"
				if n%8 == 0 {
					name = fmt.Sprint(i, n)
				}
				got, err := f.store.Submit(f.t.Context(), f.submission(name, sealedWith(k.ID)))
				if err != nil {
					f.t.Errorf("submit: %v", err)
				}
				mu.Lock()
				ids = append(ids, got.Job.ID)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	f.sameIDs(f.erase(tenant).Ended, ids...)
	f.refused(ids[0])
	f.refused(ids[len(ids)-1])
}

func erasedRunIsStale(f *keyFixture) {
	k := f.add(f.key(tenant, "one"), uuid.Nil)
	job, work, _ := f.running("a", sealedWith(k.ID))
	f.erase(tenant)
	_, err := f.store.Finish(f.t.Context(), f.success(work, f.at(time.Hour)))
	f.mustBe(err, jobs.ErrStale, "finish")
	f.mustBe(f.store.Reschedule(f.t.Context(), f.retry(work, f.now)), jobs.ErrStale, "reschedule")
	f.refused(job.ID)
	equal(f.fixture, f.calls(job.ID)[0].Status, jobs.CallSuccess, "the call that was made all the same")
}

func erasedIsNotCopied(f *keyFixture) {
	k := f.add(f.key(tenant, "one"), uuid.Nil)
	for _, name := range []string{"sealed", "plain"} {
		_, work, _ := f.running(name)
		o := f.success(work, f.at(time.Second))
		if name == "sealed" {
			o.KeyID = k.ID
		}
		f.finish(o)
	}
	late := []edit{withMaxAge(time.Hour), withCreated(f.at(time.Minute))}
	equal(f.fixture, f.submit("sealed", late...).Job.Cached, true, "copied before the erasure")
	f.erase(tenant)
	equal(f.fixture, f.submit("sealed", late...).Job.Cached, false, "copied what was erased")
	equal(f.fixture, f.submit("plain", late...).Job.Cached, true, "copied what is in plain")
}
