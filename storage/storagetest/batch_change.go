package storagetest

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

func batchRules() []batchRule {
	return []batchRule{
		{"a batch is told as it was made", batchIsKept},
		{"a repeated submission is the batch that there is", batchIsRepeated},
		{"a repeat is told apart from others", batchIsNotRepeated},
		{"of many who submit under a key one makes the batch", batchRepeatRaces},
		{"batches are listed newest first, in pages", batchesAreListed},
		{"a batch is paused and resumed until it ends", batchIsPaused},
		{"a batch is cancelled once", batchIsCancelled},
		{"invariant 9: a batch is its tenant's", batchOfOthers},
	}
}

// fullBatch gives a batch all that one may have.
func fullBatch(b *batches.Batch) {
	b.Endpoint, b.Window = providers.Embeddings, "90m"
	b.Metadata = map[string]string{"team": "é\"", "": "empty"}
	b.OutputTTL = 36 * time.Hour
	b.Policy = batches.Policy{
		Priority: jobs.PriorityLow, Concurrency: 7, NoDedupe: true, MaxAge: time.Hour, StaleWhileRevalidate: time.Minute,
		StaleIfError: time.Second, NoStore: true, OnUnavailable: new(jobs.OnUnavailableDegrade), UseCase: "reports",
		User: "u", Ephemeral: true,
	}
}

func batchIsKept(f *batchFixture) {
	for _, want := range []batches.Batch{f.newBatch(), f.newBatch(fullBatch)} {
		f.same(f.create(want), want, "batch")
		f.same(f.batchNow(want), want, "batch as it is read")
	}
}

// repeat creates a batch under a key, and reports whether it was there.
func (f *batchFixture) repeat(b batches.Batch, key, body string) (batches.Batch, bool) {
	f.t.Helper()
	got, replayed, err := f.batches.CreateBatch(f.t.Context(), b, repeatOf(key, body))
	f.must(err, "create a batch under a key")
	return got, replayed
}

func repeatOf(key, body string) batches.Repeat {
	return batches.Repeat{Key: key, Fingerprint: sha256.Sum256([]byte(body)), Within: time.Hour}
}

func createdAt(at time.Time) batchEdit {
	return func(b *batches.Batch) { b.CreatedAt = at }
}

func batchIsRepeated(f *batchFixture) {
	first, replayed := f.repeat(f.newBatch(), "k", "body")
	equal(f.fixture, replayed, false, "first")
	f.cancelBatch(first)
	again, replayed := f.repeat(f.newBatch(createdAt(f.at(time.Hour))), "k", "body")
	equal(f.fixture, replayed, true, "again")
	f.same(again, f.batchNow(first), "batch as it is now")
	_, replayed, err := f.batches.CreateBatch(f.t.Context(), f.newBatch(), repeatOf("k", "other body"))
	f.mustBe(err, jobs.ErrIdempotencyMismatch, "another submission under the key")
	equal(f.fixture, replayed, false, "replayed")
	late, replayed := f.repeat(f.newBatch(createdAt(f.at(time.Hour+time.Microsecond))), "k", "other body")
	equal(f.fixture, replayed, false, "one too late")
	youngest, _ := f.repeat(f.newBatch(createdAt(f.at(time.Hour))), "k", "other body")
	equal(f.fixture, youngest.ID, late.ID, "the youngest under the key")
}

func batchIsNotRepeated(f *batchFixture) {
	seen := map[uuid.UUID]bool{}
	for _, key := range []string{"k", "l", "", ""} {
		b, replayed := f.repeat(f.newBatch(), key, "body")
		equal(f.fixture, replayed, false, "under another key, or none")
		seen[b.ID] = true
	}
	b, _ := f.repeat(f.newBatch(func(b *batches.Batch) { b.Tenant = "other" }), "k", "other body")
	seen[b.ID] = true
	equal(f.fixture, len(seen), 5, "batches")
}

func batchRepeatRaces(f *batchFixture) {
	var group sync.WaitGroup
	var lock sync.Mutex
	seen, made := map[uuid.UUID]bool{}, 0
	for range 16 {
		b := f.newBatch()
		group.Go(func() {
			got, replayed, err := f.batches.CreateBatch(f.t.Context(), b, repeatOf("k", "body"))
			f.check(err, "create a batch")
			lock.Lock()
			defer lock.Unlock()
			seen[got.ID] = true
			if !replayed {
				made++
			}
		})
	}
	group.Wait()
	equal(f.fixture, len(seen), 1, "batches told of")
	equal(f.fixture, made, 1, "batches made")
	list, err := f.batches.Batches(f.t.Context(), batches.Query{Tenant: tenant, Limit: 100})
	f.must(err, "list batches")
	equal(f.fixture, len(list), 1, "batches there are")
}

func batchesAreListed(f *batchFixture) {
	var all []batches.Batch
	for i := range 5 {
		b := f.batch(func(b *batches.Batch) {
			if i%2 == 0 {
				b.Endpoint = providers.Embeddings
			}
		})
		all = append([]batches.Batch{b}, all...)
	}
	f.batch(func(b *batches.Batch) { b.Tenant = "other" })
	for _, c := range []struct {
		query batches.Query
		want  []batches.Batch
	}{
		{batches.Query{}, all},
		{batches.Query{Limit: 2}, all[:2]},
		{batches.Query{Before: all[1].ID, Limit: 2}, all[2:4]},
		{batches.Query{Before: all[4].ID}, nil},
		{batches.Query{After: all[3].ID, Limit: 2}, all[1:3]},
		{batches.Query{After: all[3].ID}, all[:3]},
		{batches.Query{After: all[0].ID}, nil},
		{batches.Query{Endpoint: providers.Embeddings}, []batches.Batch{all[0], all[2], all[4]}},
		{batches.Query{Endpoint: providers.Embeddings, Before: all[0].ID, Limit: 1}, all[2:3]},
		{batches.Query{Endpoint: providers.Embeddings, After: all[4].ID, Limit: 1}, all[2:3]},
	} {
		c.query.Tenant = tenant
		if c.query.Limit == 0 {
			c.query.Limit = 100
		}
		got, err := f.batches.Batches(f.t.Context(), c.query)
		f.must(err, "list batches")
		f.batchIDs(got, c.want...)
		for i, b := range got {
			f.same(b, c.want[i], "listed")
		}
	}
}

func batchIsPaused(f *batchFixture) {
	b := f.batch()
	for _, paused := range []bool{true, true, false, false, true} {
		got, err := f.batches.PauseBatch(f.t.Context(), tenant, b.ID, paused)
		f.must(err, "pause")
		equal(f.fixture, got.Paused, paused, "paused")
		f.same(f.batchNow(b), got, "batch as it is read")
	}
	ended := f.cancelled(1)
	_, err := f.batches.PauseBatch(f.t.Context(), tenant, ended.ID, true)
	f.mustBe(err, batches.ErrEnded, "pause what has ended")
	f.same(f.batchNow(ended), ended, "batch")
}

func batchIsCancelled(f *batchFixture) {
	b := f.batch()
	got := f.cancelBatch(b)
	equal(f.fixture, got.Status, batches.StatusCancelling, "status")
	equal(f.fixture, got.CancellingAt, f.at(time.Minute), "cancelling at")
	f.same(f.batchNow(b), got, "batch as it is read")
	again, err := f.batches.CancelBatch(f.t.Context(), tenant, b.ID, f.at(time.Hour))
	f.must(err, "cancel again")
	f.same(again, got, "batch")
	ended := f.cancelled(1)
	again, err = f.batches.CancelBatch(f.t.Context(), tenant, ended.ID, f.at(time.Hour))
	f.must(err, "cancel what has ended")
	f.same(again, ended, "batch")
}

func batchOfOthers(f *batchFixture) {
	ended, live := f.cancelled(1), f.batch()
	ctx := f.t.Context()
	for _, b := range []batches.Batch{ended, live, f.newBatch()} {
		of := "other"
		if b.ID != ended.ID && b.ID != live.ID {
			of = tenant // there is none
		}
		_, err := f.batches.Batch(ctx, of, b.ID)
		f.mustBe(err, jobs.ErrNotFound, "read")
		_, err = f.batches.PauseBatch(ctx, of, b.ID, true)
		f.mustBe(err, jobs.ErrNotFound, "pause")
		_, err = f.batches.CancelBatch(ctx, of, b.ID, f.now)
		f.mustBe(err, jobs.ErrNotFound, "cancel")
		_, _, err = f.batches.RetryBatch(ctx, of, b.ID, f.now, f.at(time.Hour))
		f.mustBe(err, jobs.ErrNotFound, "retry")
		f.mustBe(f.batches.DeleteBatch(ctx, of, b.ID), jobs.ErrNotFound, "delete")
		_, err = f.batches.Answers(ctx, batches.AnswerQuery{Tenant: of, Batch: b.ID, Limit: 10})
		f.mustBe(err, jobs.ErrNotFound, "list answers")
		_, err = f.batches.Causes(ctx, of, b.ID, 10)
		f.mustBe(err, jobs.ErrNotFound, "group causes")
	}
	list, err := f.batches.Batches(ctx, batches.Query{Tenant: "other", Limit: 10})
	f.must(err, "list batches")
	f.batchIDs(list)
	for _, b := range []batches.Batch{ended, live} {
		f.same(f.batchNow(b), b, "batch")
	}
}
