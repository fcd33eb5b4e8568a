package files

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// abortTimeout bounds how long an abort waits for the store.
const abortTimeout = 5 * time.Second

// Writer is an upload. It keeps a chunk whenever that is full, and holds no more than one.
// It is for one goroutine. What was written is a file once Commit has returned nil.
type Writer struct {
	ctx    context.Context //nolint:containedctx // io.Writer takes none: it is that of Create
	s      *Service
	chunks Chunks
	file   File
	// lines passes on what may be kept; nil: all is.
	lines *lines
	// chunk is what is not kept yet, of the nth chunk.
	chunk []byte
	n     int
	// sent and kept count bytes: of the caller, and in chunks.
	sent, kept int64
	// failed is why the upload cannot go on.
	failed error
	ended  bool
}

var errEnded = errors.New("the upload has ended")

func (s *Service) newWriter(ctx context.Context, f File) *Writer {
	w := &Writer{ctx: ctx, s: s, chunks: s.cfg.Store, file: f}
	if f.Bucket {
		w.chunks = s.cfg.Bucket
	}
	if s.cfg.Redact != nil {
		w.lines = &lines{to: w.keep, redact: func(line []byte) ([]byte, error) { return s.cfg.Redact(w.ctx, f.Tenant, line) }}
	}
	return w
}

// Write takes bytes. An error ends the upload: all that follow are the same. A file that
// grows too large is an *[jobs.Error] with code [CodeTooLarge].
func (w *Writer) Write(p []byte) (int, error) {
	if w.failed != nil {
		return 0, w.failed
	}
	if w.failed = w.write(p); w.failed != nil {
		return 0, w.failed
	}
	return len(p), nil
}

// CodeTooLarge says that a file has more bytes than one may have.
const CodeTooLarge jobs.Code = "body_too_large"

func (w *Writer) write(p []byte) error {
	if time.Since(w.file.CreatedAt) > writesFor {
		return fmt.Errorf("the upload was begun more than %v ago", writesFor)
	}
	if w.sent += int64(len(p)); w.sent > w.s.cfg.MaxBytes {
		return w.tooLarge()
	}
	if w.lines != nil {
		return w.lines.write(p)
	}
	return w.keep(p)
}

func (w *Writer) tooLarge() error {
	return &jobs.Error{Code: CodeTooLarge, Message: fmt.Sprintf("a file may have at most %d bytes", w.s.cfg.MaxBytes)}
}

// keep adds bytes to the chunk, and keeps it whenever it is full.
func (w *Writer) keep(p []byte) error {
	if w.kept+int64(len(w.chunk)+len(p)) > w.s.cfg.MaxBytes {
		return w.tooLarge()
	}
	for len(p) > 0 {
		room := min(ChunkSize-len(w.chunk), len(p))
		w.chunk, p = append(w.chunk, p[:room]...), p[room:]
		if len(w.chunk) < ChunkSize {
			return nil
		}
		if err := w.put(); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) put() error {
	err := w.chunks.PutChunk(w.ctx, Chunk{Tenant: w.file.Tenant, File: w.file.ID, N: w.n, Data: w.chunk})
	if err != nil {
		return fmt.Errorf("keep chunk %d: %w", w.n, err)
	}
	w.kept += int64(len(w.chunk))
	w.chunk = w.chunk[:0]
	w.n++
	return nil
}

// ExpireAfter has the file kept for so long from when the upload was begun: where that is
// not known before its bytes are.
func (w *Writer) ExpireAfter(d time.Duration) error {
	if d <= 0 {
		return errExpired
	}
	w.file.ExpiresAt = w.file.CreatedAt.Add(d)
	return nil
}

// Commit ends the upload and returns the file. When it fails the upload is aborted.
func (w *Writer) Commit(ctx context.Context) (File, error) {
	if w.ended {
		return File{}, errEnded
	}
	if err := w.finish(ctx); err != nil {
		w.Abort() //nolint:contextcheck // also when ctx has ended
		return File{}, err
	}
	w.end()
	w.file.Status, w.file.Bytes = StatusUploaded, w.kept
	return w.file, nil
}

func (w *Writer) finish(ctx context.Context) error {
	if w.failed != nil {
		return w.failed
	}
	w.ctx = ctx
	if w.lines != nil {
		if err := w.lines.end(); err != nil {
			return err
		}
	}
	if len(w.chunk) > 0 {
		if err := w.put(); err != nil {
			return err
		}
	}
	return w.s.cfg.Store.FinishFile(ctx, w.file.Tenant, w.file.ID, w.kept, w.file.ExpiresAt)
}

// Abort ends the upload and leaves nothing of it. After Commit or Abort it does nothing.
func (w *Writer) Abort() {
	if w.ended {
		return
	}
	w.end()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), abortTimeout)
	defer cancel()
	_ = w.s.cfg.Store.DeleteFile(ctx, w.file.Tenant, w.file.ID) // else it is swept as abandoned
}

// end gives up the place among the uploads, and the memory.
func (w *Writer) end() {
	w.ended, w.chunk = true, nil
	if w.failed == nil {
		w.failed = errEnded
	}
	w.s.uploads.end(w.file.Tenant)
}
