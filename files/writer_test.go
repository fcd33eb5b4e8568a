package files_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
)

func TestFilesComeBackAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	const chunk = files.ChunkSize
	for _, size := range []int{0, 1, chunk - 1, chunk, chunk + 1, 3*chunk + 77} {
		content := noise(size)
		for _, piece := range []int{100_003, 2*chunk + 5} {
			f := r.upload(content, piece)
			r.reads(f, content)
			told, err := r.service.File(t.Context(), acme, f.ID)
			if err != nil || told != f {
				t.Errorf("file: got %+v, %v, want %+v", told, err, f)
			}
		}
	}
}

// However a file is written, what is held and kept is a chunk at a time.
func TestChunksAreFull(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.upload(noise(2*files.ChunkSize+9), 777)
	r.upload(noise(2*files.ChunkSize), 5*files.ChunkSize)
	if want := []int{files.ChunkSize, files.ChunkSize, 9, files.ChunkSize, files.ChunkSize}; !slices.Equal(r.store.put, want) {
		t.Errorf("chunks: got %v, want %v", r.store.put, want)
	}
}

func TestAFileThatGrowsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *files.Config) { c.MaxBytes = 1000 })
	r.reads(r.upload(noise(1000), 10), noise(1000))
	w := r.create()
	_, err := w.Write(noise(1000))
	r.must(err)
	want := &jobs.Error{Code: files.CodeTooLarge}
	_, err = w.Write([]byte("x"))
	r.mustBe(err, want, "the byte too many")
	_, err = w.Write(nil)
	r.mustBe(err, want, "a write after that")
	_, err = w.Commit(t.Context())
	r.mustBe(err, want, "commit")
	if list, _, err := r.service.List(t.Context(), files.Query{Tenant: acme, Limit: 9}); err != nil || len(list) != 1 {
		t.Errorf("files: got %+v, %v, want the first alone", list, err)
	}
}

func TestAnAbortLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	w := r.create()
	_, err := w.Write(noise(files.ChunkSize + 1))
	r.must(err)
	w.Abort()
	w.Abort()
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("an upload that was aborted goes on")
	}
	if _, err := w.Commit(t.Context()); err == nil {
		t.Error("an upload that was aborted is committed")
	}
	r.none()
}

func TestAnUploadEndsOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	w := r.create()
	f, err := w.Commit(t.Context())
	r.must(err)
	if _, err := w.Commit(t.Context()); err == nil {
		t.Error("an upload was committed twice")
	}
	w.Abort()
	r.reads(f, nil)
}

// A store that fails ends the upload, and nothing is told of it.
func TestAnUploadFailsWithItsStore(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	w := r.create()
	r.store.fail = jobs.Unavailable(errors.New("away"))
	_, err := w.Write(noise(files.ChunkSize))
	r.mustBe(err, r.store.fail, "write")
	r.store.fail = nil
	_, err = w.Write([]byte("more"))
	r.mustBe(err, &jobs.Error{Code: jobs.CodeStoreUnavailable}, "write again")
	_, err = w.Commit(t.Context())
	r.mustBe(err, &jobs.Error{Code: jobs.CodeStoreUnavailable}, "commit")
	r.none()
}

// Uploads under way are bounded, and no tenant takes all places.
func TestUploadsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *files.Config) { c.MaxUploads = 4 })
	begin := func(tenant string) (*files.Writer, error) {
		return r.service.Create(t.Context(), files.New{Tenant: tenant, Name: "a", Purpose: files.PurposeBatch})
	}
	tooMany := &jobs.Error{Code: files.CodeTooMany}
	first, second := r.create(), r.create()
	_, err := begin(acme)
	r.mustBe(err, tooMany, "a third of one tenant")
	for range 2 {
		_, err := begin("other")
		r.must(err)
	}
	_, err = begin("third")
	r.mustBe(err, tooMany, "a fifth of all")
	first.Abort()
	_, err = second.Commit(t.Context())
	r.must(err)
	for range 2 {
		r.create()
	}
}

// An upload is not written to any more when it may be swept as abandoned.
func TestAnUploadDoesNotTakeForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		w := r.create()
		time.Sleep(12 * time.Hour)
		_, err := w.Write([]byte("a"))
		r.must(err)
		time.Sleep(time.Second)
		if _, err := w.Write([]byte("a")); err == nil {
			t.Error("an upload goes on after 12 hours")
		}
		w.Abort()
	})
}

func TestWhatIsNoFileIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for name, n := range map[string]files.New{
		"/purpose":       {Name: "a", Purpose: "assistants"},
		"/file":          {Name: strings.Repeat("a", files.MaxName+1), Purpose: files.PurposeBatch},
		"/expires_after": {Name: "a", Purpose: files.PurposeBatch, ExpiresAfter: -1},
	} {
		n.Tenant = acme
		_, err := r.service.Create(t.Context(), n)
		e, ok := errors.AsType[*jobs.Error](err)
		if !ok || e.Code != jobs.CodeInvalidField || e.Pointer != name {
			t.Errorf("%+v: got %v, want %s to be refused", n, err, name)
		}
	}
	for _, name := range []string{"", "a\x00b", "a\xff"} {
		if _, err := r.service.Create(t.Context(), files.New{Tenant: acme, Name: name, Purpose: files.PurposeBatch}); err == nil {
			t.Errorf("the name %q was taken", name)
		}
	}
	if _, err := files.NewService(files.Config{}); err == nil || !strings.Contains(err.Error(), "Store") {
		t.Errorf("a service without store: got %v", err)
	}
}
