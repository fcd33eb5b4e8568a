package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Reader reads the bytes of a file from its beginning, or from anywhere. It holds the
// chunk that was read last. It is safe for use by many goroutines, which wait for each
// other.
type Reader struct {
	ctx    context.Context //nolint:containedctx // io.Reader takes none: it is that of Open
	chunks Chunks
	tenant string
	file   File
	failed error

	mu     sync.Mutex
	offset int64
	// cached is which chunk is in chunk; -1: none.
	cached int
	chunk  []byte
}

var (
	_ io.Reader   = (*Reader)(nil)
	_ io.ReaderAt = (*Reader)(nil)
)

// Read reads on from where the last Read ended.
func (r *Reader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := r.readSome(p, r.offset)
	r.offset += int64(n)
	return n, err
}

// ReadAt reads from the given offset: see [io.ReaderAt].
func (r *Reader) ReadAt(p []byte, offset int64) (n int, err error) {
	if offset < 0 {
		return 0, errors.New("read a file: the offset is negative")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for n < len(p) && err == nil {
		var some int
		some, err = r.readSome(p[n:], offset+int64(n))
		n += some
	}
	return n, err
}

// readSome reads what one chunk has.
func (r *Reader) readSome(p []byte, offset int64) (int, error) {
	if r.failed != nil {
		return 0, r.failed
	}
	if offset >= r.file.Bytes {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.load(int(offset / ChunkSize)); err != nil {
		return 0, err
	}
	return copy(p, r.chunk[offset%ChunkSize:]), nil
}

// load makes the nth chunk the one that is held.
func (r *Reader) load(n int) error {
	if r.cached == n {
		return nil
	}
	chunk, err := r.chunks.Chunk(r.ctx, r.tenant, r.file.ID, n)
	if err != nil {
		return fmt.Errorf("read chunk %d of a file: %w", n, err)
	}
	if want := min(r.file.Bytes-int64(n)*ChunkSize, ChunkSize); int64(len(chunk)) != want {
		return fmt.Errorf("read chunk %d of a file: it has %d bytes, want %d", n, len(chunk), want)
	}
	r.cached, r.chunk = n, chunk
	return nil
}
