package storagetest

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
)

// FileStore keeps jobs and files.
type FileStore interface {
	jobs.Store
	files.Store
}

// fileRule is one thing that every [files.Store] does.
type fileRule struct {
	name  string
	check func(f *fileFixture)
}

// RunFiles checks what every [files.Store] does, each rule in parallel on a fresh store:
// see [Run].
func RunFiles(t *testing.T, open func(t *testing.T) FileStore) {
	t.Helper()
	for _, theme := range []struct {
		name  string
		rules []fileRule
	}{
		{"file", fileRules()},
		{"chunk", chunkRules()},
		{"sweep", fileSweepRules()},
	} {
		t.Run(theme.name, func(t *testing.T) {
			t.Parallel()
			for _, r := range theme.rules {
				t.Run(r.name, func(t *testing.T) {
					t.Parallel()
					s := open(t)
					r.check(&fileFixture{fixture: newFixture(t, s), files: s})
				})
			}
		})
	}
}

type fileFixture struct {
	*fixture

	files files.Store
}

type fileEdit func(f *files.File)

func expiring(at time.Time) fileEdit { return func(f *files.File) { f.ExpiresAt = at } }

func ownedBy(tenant string) fileEdit { return func(f *files.File) { f.Tenant = tenant } }

func inBucket(f *files.File) { f.Bucket = true }

// begun makes a file one that was created then.
func (f *fileFixture) begun(at time.Time) fileEdit {
	f.t.Helper()
	id, err := files.NewID(at)
	f.must(err, "make an id")
	return func(f *files.File) { f.ID, f.CreatedAt = id, at }
}

// begin keeps an upload that has not ended.
func (f *fileFixture) begin(edits ...fileEdit) files.File {
	f.t.Helper()
	file := files.File{
		ID: newID(f.t), Tenant: tenant, Purpose: files.PurposeBatch, Name: "lines.jsonl", Status: files.StatusUploading,
		CreatedAt: f.now,
	}
	for _, edit := range edits {
		edit(&file)
	}
	f.must(f.files.CreateFile(f.t.Context(), file), "keep a file")
	return file
}

// upload keeps a file of the given bytes, as one chunk.
func (f *fileFixture) upload(content string, edits ...fileEdit) files.File {
	f.t.Helper()
	file := f.begin(edits...)
	f.must(f.put(file, 0, content), "keep a chunk")
	f.must(f.files.FinishFile(f.t.Context(), file.Tenant, file.ID, int64(len(content)), time.Time{}), "finish a file")
	file.Status, file.Bytes = files.StatusUploaded, int64(len(content))
	return file
}

// virtual keeps a file that is made of a batch's answers.
func (f *fileFixture) virtual(edits ...fileEdit) files.File {
	f.t.Helper()
	return f.begin(append([]fileEdit{func(v *files.File) {
		v.Purpose, v.Status, v.Batch = files.PurposeBatchOutput, files.StatusUploaded, newID(f.t)
	}}, edits...)...)
}

func (f *fileFixture) put(file files.File, n int, content string) error {
	return f.files.PutChunk(f.t.Context(), files.Chunk{Tenant: file.Tenant, File: file.ID, N: n, Data: []byte(content)})
}

// has fails the test unless the chunk is there.
func (f *fileFixture) has(file files.File, n int, want string) {
	f.t.Helper()
	got, err := f.files.Chunk(f.t.Context(), file.Tenant, file.ID, n)
	f.must(err, "read a chunk")
	if string(got) != want {
		f.t.Fatalf("chunk %d: got %d bytes %.20q, want %d bytes %.20q", n, len(got), got, len(want), want)
	}
}

// hasNot fails the test unless the file, and its first chunk, are not there.
func (f *fileFixture) hasNot(file files.File) {
	f.t.Helper()
	_, err := f.files.File(f.t.Context(), file.Tenant, file.ID, f.now)
	f.mustBe(err, files.ErrNotFound, "read a file that is gone")
	_, err = f.files.Chunk(f.t.Context(), file.Tenant, file.ID, 0)
	f.mustBe(err, files.ErrNotFound, "read a chunk that is gone")
}

// is fails the test unless the store tells of the file, with all of it.
func (f *fileFixture) is(want files.File) {
	f.t.Helper()
	got, err := f.files.File(f.t.Context(), want.Tenant, want.ID, f.now)
	f.must(err, "read a file")
	equal(f.fixture, got, want, "file")
}

func (f *fileFixture) list(q files.Query, want ...files.File) {
	f.t.Helper()
	if q.Tenant == "" {
		q.Tenant = tenant
	}
	if q.Limit == 0 {
		q.Limit = 100
	}
	got, err := f.files.Files(f.t.Context(), q, f.now)
	f.must(err, "list files")
	if !slices.Equal(got, want) {
		f.t.Fatalf("list %+v:\n got %+v\nwant %+v", q, got, want)
	}
}

func fileRules() []fileRule {
	return []fileRule{
		{"an upload is told of once it has ended", fileFinished},
		{"a file of a batch is told of at once", fileOfBatch},
		{"finishing is repeated without harm", fileFinishedTwice},
		{"9: a file of another tenant is not there", fileOfOther},
		{"a file that has expired is not told of", fileExpired},
		{"lists go on after an id, in either order", fileLists},
		{"an upload may say at its end how long it is kept", fileExpiresLater},
		{"a file that was deleted is gone", fileDeleted},
		{"an upload that was deleted does not go on", uploadDeleted},
	}
}

func fileFinished(f *fileFixture) {
	file := f.begin(expiring(f.at(time.Hour)))
	f.list(files.Query{})
	_, err := f.files.File(f.t.Context(), tenant, file.ID, f.now)
	f.mustBe(err, files.ErrNotFound, "read an upload that has not ended")
	f.must(f.files.FinishFile(f.t.Context(), tenant, file.ID, 12, time.Time{}), "finish a file")
	file.Status, file.Bytes = files.StatusUploaded, 12
	f.is(file)
	f.list(files.Query{}, file)
	bucket := f.upload("", inBucket)
	f.is(bucket)
	f.mustBe(f.files.FinishFile(f.t.Context(), tenant, newID(f.t), 12, time.Time{}), files.ErrNotFound, "finish no file")
}

func fileExpiresLater(f *fileFixture) {
	file := f.begin(expiring(f.at(time.Hour)))
	f.must(f.files.FinishFile(f.t.Context(), tenant, file.ID, 12, f.at(time.Minute)), "finish a file")
	file.Status, file.Bytes, file.ExpiresAt = files.StatusUploaded, 12, f.at(time.Minute)
	f.is(file)
	_, err := f.files.File(f.t.Context(), tenant, file.ID, f.at(time.Minute+time.Second))
	f.mustBe(err, files.ErrNotFound, "read a file that has expired")
}

func fileOfBatch(f *fileFixture) {
	file := f.virtual()
	f.is(file)
	f.list(files.Query{}, file)
}

func fileFinishedTwice(f *fileFixture) {
	file := f.upload("12345")
	f.must(f.files.FinishFile(f.t.Context(), tenant, file.ID, 5, time.Time{}), "finish a file again")
	f.mustBe(f.files.FinishFile(f.t.Context(), tenant, file.ID, 6, time.Time{}), files.ErrNotFound, "finish a file again with other bytes")
	f.is(file)
}

func fileOfOther(f *fileFixture) {
	ctx := f.t.Context()
	file, open := f.upload("secret"), f.begin()
	_, err := f.files.File(ctx, "other", file.ID, f.now)
	f.mustBe(err, files.ErrNotFound, "read a file of another tenant")
	_, err = f.files.Chunk(ctx, "other", file.ID, 0)
	f.mustBe(err, files.ErrNotFound, "read a chunk of another tenant")
	f.mustBe(f.files.DeleteFile(ctx, "other", file.ID), files.ErrNotFound, "delete a file of another tenant")
	f.mustBe(f.files.FinishFile(ctx, "other", open.ID, 1, time.Time{}), files.ErrNotFound, "finish a file of another tenant")
	err = f.files.PutChunk(ctx, files.Chunk{Tenant: "other", File: open.ID, Data: []byte("theirs")})
	f.mustBe(err, files.ErrNotFound, "keep a chunk of another tenant")
	f.list(files.Query{Tenant: "other"})
	f.is(file)
	f.has(file, 0, "secret")
}

func fileExpired(f *fileFixture) {
	file := f.upload("a", expiring(f.at(time.Microsecond)))
	f.is(file)
	f.list(files.Query{}, file)
	f.now = f.at(time.Microsecond)
	f.list(files.Query{})
	_, err := f.files.File(f.t.Context(), tenant, file.ID, f.now)
	f.mustBe(err, files.ErrNotFound, "read a file that has expired")
}

func fileLists(f *fileFixture) {
	var all []files.File
	for i := range 4 {
		all = append(all, f.upload(fmt.Sprint(i)))
	}
	output := f.virtual()
	f.upload("of another", ownedBy("other"))
	asc := append(slices.Clone(all), output)
	desc := slices.Clone(asc)
	slices.Reverse(desc)
	f.list(files.Query{}, desc...)
	f.list(files.Query{Ascending: true}, asc...)
	f.list(files.Query{Limit: 2}, desc[:2]...)
	f.list(files.Query{Limit: 2, After: desc[1].ID}, desc[2:4]...)
	f.list(files.Query{Limit: 2, After: asc[1].ID, Ascending: true}, asc[2:4]...)
	f.list(files.Query{After: asc[4].ID, Ascending: true})
	f.list(files.Query{Purpose: files.PurposeBatchOutput}, output)
	f.list(files.Query{Purpose: files.PurposeBatch, Ascending: true}, all...)
}

func fileDeleted(f *fileFixture) {
	ctx := f.t.Context()
	stays := f.upload("a")
	for _, file := range []files.File{f.upload("a"), f.upload("a", inBucket), f.virtual()} {
		f.must(f.files.DeleteFile(ctx, tenant, file.ID), "delete a file")
		f.hasNot(file)
		f.mustBe(f.files.DeleteFile(ctx, tenant, file.ID), files.ErrNotFound, "delete a file again")
		f.mustBe(f.files.FinishFile(ctx, tenant, file.ID, 1, time.Time{}), files.ErrNotFound, "finish a file that was deleted")
	}
	f.list(files.Query{}, stays)
	f.has(stays, 0, "a")
}

func uploadDeleted(f *fileFixture) {
	file := f.begin()
	f.must(f.put(file, 0, "a"), "keep a chunk")
	f.must(f.files.DeleteFile(f.t.Context(), tenant, file.ID), "delete an upload")
	f.mustBe(f.put(file, 1, "b"), files.ErrNotFound, "keep a chunk of an upload that was deleted")
	f.mustBe(f.files.FinishFile(f.t.Context(), tenant, file.ID, 2, time.Time{}), files.ErrNotFound, "finish an upload that was deleted")
}

func chunkRules() []fileRule {
	return []fileRule{
		{"chunks come back as they were kept", chunksKept},
		{"a chunk is kept again without harm", chunkAgain},
		{"nothing is added to a file that is whole", chunkOfWhole},
		{"chunks are kept and read side by side", chunksRace},
	}
}

func chunksKept(f *fileFixture) {
	file := f.begin()
	big := make([]byte, files.ChunkSize+1000)
	for i := range big {
		big[i] = byte(i * i >> 3)
	}
	f.must(f.put(file, 0, string(big)), "keep a chunk")
	f.must(f.put(file, 1, "\x00\xff\x01"), "keep a chunk")
	f.must(f.put(file, 7, "seven"), "keep a chunk")
	f.must(f.files.FinishFile(f.t.Context(), tenant, file.ID, 3, time.Time{}), "finish a file")
	f.has(file, 0, string(big))
	f.has(file, 1, "\x00\xff\x01")
	f.has(file, 7, "seven")
	for _, n := range []int{2, 8, -1} {
		_, err := f.files.Chunk(f.t.Context(), tenant, file.ID, n)
		f.mustBe(err, files.ErrNotFound, fmt.Sprintf("read chunk %d", n))
	}
	f.mustBe(f.files.PutChunk(f.t.Context(), files.Chunk{Tenant: tenant, File: newID(f.t), Data: []byte("a")}),
		files.ErrNotFound, "keep a chunk of no file")
}

func chunkAgain(f *fileFixture) {
	file := f.begin()
	f.must(f.put(file, 0, "first"), "keep a chunk")
	f.must(f.put(file, 0, "again"), "keep a chunk again")
	f.has(file, 0, "again")
}

func chunkOfWhole(f *fileFixture) {
	file := f.upload("a")
	f.mustBe(f.put(file, 0, "b"), files.ErrNotFound, "change a chunk of a file")
	f.mustBe(f.put(file, 1, "b"), files.ErrNotFound, "add a chunk to a file")
	f.has(file, 0, "a")
}

func chunksRace(f *fileFixture) {
	const many = 4
	all := make([]files.File, many)
	for i := range all {
		all[i] = f.begin()
	}
	content := func(file, n int) string { return string(bytes.Repeat([]byte{byte(10*file + n)}, 10_000)) }
	var group sync.WaitGroup
	for i, file := range all {
		group.Go(func() {
			for n := range many {
				f.check(f.put(file, n, content(i, n)), "keep a chunk")
			}
		})
	}
	group.Wait()
	for i, file := range all {
		for n := range many {
			f.has(file, n, content(i, n))
		}
	}
}
