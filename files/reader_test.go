package files_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
)

func TestAReaderIsOne(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	content := noise(2*files.ChunkSize + 100)
	f := r.upload(content, files.ChunkSize)
	r.must(iotest.TestReader(io.LimitReader(r.open(f), 1000), content[:1000]))
	for _, span := range [][2]int{
		{0, 10}, {files.ChunkSize - 5, 10}, {files.ChunkSize, files.ChunkSize}, {100, 2 * files.ChunkSize}, {len(content) - 7, 7},
	} {
		got := make([]byte, span[1])
		n, err := r.open(f).ReadAt(got, int64(span[0]))
		if n != len(got) || err != nil || !bytes.Equal(got, content[span[0]:span[0]+span[1]]) {
			t.Errorf("read %d bytes at %d: got %d and %v", span[1], span[0], n, err)
		}
	}
	for offset, want := range map[int64]int{int64(len(content)) - 3: 3, int64(len(content)): 0, 1 << 40: 0} {
		if n, err := r.open(f).ReadAt(make([]byte, 10), offset); n != want || !errors.Is(err, io.EOF) {
			t.Errorf("read at %d: got %d and %v, want %d and the end", offset, n, err, want)
		}
	}
	if _, err := r.open(f).ReadAt(make([]byte, 1), -1); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("read at -1: got %v", err)
	}
}

// Whoever reads on, or again nearby, does not ask the store again.
func TestAReaderHoldsAChunk(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	f := r.upload(noise(2*files.ChunkSize), files.ChunkSize)
	reader := r.open(f)
	for offset := range int64(50) {
		_, err := reader.ReadAt(make([]byte, 100), offset*1000)
		r.must(err)
	}
	_, err := io.Copy(io.Discard, io.LimitReader(reader, 2*files.ChunkSize))
	r.must(err)
	if r.store.read != 2 {
		t.Errorf("chunks read: got %d, want 2", r.store.read)
	}
}

func TestAReaderIsSharedBetweenGoroutines(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	content := noise(2 * files.ChunkSize)
	reader := r.open(r.upload(content, files.ChunkSize))
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for n := range 20 {
				offset := (i*37 + n*104_729) % (len(content) - 50)
				got := make([]byte, 50)
				if _, err := reader.ReadAt(got, int64(offset)); err != nil || !bytes.Equal(got, content[offset:offset+50]) {
					t.Errorf("read at %d: %v, or other bytes", offset, err)
				}
			}
		})
	}
	group.Wait()
}

// Part of a file is not the file: what is missing is an error.
func TestWhatIsMissingOfAFileIsAnError(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	f := r.upload(noise(100), 100)
	f.Bytes = 200
	if _, err := io.ReadAll(r.open(f)); err == nil || !strings.Contains(err.Error(), "it has 100 bytes, want 200") {
		t.Errorf("a chunk that is short: got %v", err)
	}
	f.Bytes = files.ChunkSize + 1
	_, err := r.open(f).ReadAt(make([]byte, 1), files.ChunkSize)
	r.mustBe(err, files.ErrNotFound, "read a chunk that is missing")
	f.Batch = uuid.New()
	if _, err := io.ReadAll(r.open(f)); err == nil {
		t.Error("a file of a batch was read as bytes")
	}
	f.Batch, f.Bucket = uuid.Nil, true
	_, err = io.ReadAll(r.open(f))
	r.mustBe(err, &jobs.Error{Code: jobs.CodeStoreUnavailable}, "read from a bucket where none is configured")
	if _, err := io.ReadAll(r.service.Open(t.Context(), "other", r.upload(noise(1), 1))); !errors.Is(err, files.ErrNotFound) {
		t.Errorf("read as another tenant: got %v", err)
	}
}
