package openai

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// Files is what the surface needs of [files.Service].
type Files interface {
	Create(ctx context.Context, n files.New) (*files.Writer, error)
	File(ctx context.Context, tenant string, id uuid.UUID) (files.File, error)
	List(ctx context.Context, q files.Query) (page []files.File, more bool, err error)
	Delete(ctx context.Context, tenant string, id uuid.UUID) error
	Open(ctx context.Context, tenant string, f files.File) *files.Reader
	MaxBytes() int64
}

var _ Files = (*files.Service)(nil)

func (s *Surface) fileRoutes() []route {
	return []route{
		{"POST /v1/files", s.uploadFile},
		{"GET /v1/files", s.listFiles},
		{"GET /v1/files/{id}", s.file},
		{"DELETE /v1/files/{id}", s.deleteFile},
		{"GET /v1/files/{id}/content", s.fileContent},
	}
}

// fileJSON is a file as OpenAI tells of it.
type fileJSON struct {
	ID     string `json:"id"`
	Object string `json:"object"`
	// Bytes is not known of the answers of a batch, which are written as they are read.
	Bytes     int64         `json:"bytes"`
	CreatedAt int64         `json:"created_at"`
	ExpiresAt *int64        `json:"expires_at,omitempty"`
	Filename  string        `json:"filename"`
	Purpose   files.Purpose `json:"purpose"`
	// Status is deprecated, and some clients wait for this word.
	Status string `json:"status"`
}

func encodeFile(f files.File) fileJSON {
	return fileJSON{
		ID: surface.FileID(f.ID), Object: "file", Bytes: f.Bytes, CreatedAt: f.CreatedAt.Unix(), ExpiresAt: unixOrNull(f.ExpiresAt),
		Filename: f.Name, Purpose: f.Purpose, Status: "processed",
	}
}

// unixOrNull is a time in seconds; nil before there is one.
func unixOrNull(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(t.Unix())
}

// file is GET /v1/files/{id}.
func (s *Surface) file(x *exchange) error {
	f, err := s.findFile(x)
	if err != nil {
		return err
	}
	return surface.WriteJSON(x.w, http.StatusOK, encodeFile(f))
}

func (s *Surface) findFile(x *exchange) (files.File, error) {
	id, err := surface.ParseID(x.r.PathValue("id"))
	if err != nil {
		return files.File{}, files.ErrNotFound
	}
	x.caller.File = id
	ctx, cancel := s.storeContext(x.r.Context())
	defer cancel()
	return s.cfg.Files.File(ctx, x.caller.Tenant, id)
}

// deleteFile is DELETE /v1/files/{id}.
func (s *Surface) deleteFile(x *exchange) error {
	f, err := s.findFile(x)
	if err != nil {
		return err
	}
	ctx, cancel := s.storeContext(x.r.Context())
	defer cancel()
	if err := s.cfg.Files.Delete(ctx, f.Tenant, f.ID); err != nil {
		return err
	}
	return surface.WriteJSON(x.w, http.StatusOK, struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Deleted bool   `json:"deleted"`
	}{surface.FileID(f.ID), "file", true})
}

const mostFiles = 10_000

// listFiles is GET /v1/files.
func (s *Surface) listFiles(x *exchange) error {
	query := x.r.URL.Query()
	q := files.Query{Tenant: x.caller.Tenant, Purpose: files.Purpose(query.Get("purpose"))}
	var err error
	if q.Limit, err = limitOf(x, mostFiles, mostFiles); err != nil {
		return err
	}
	if q.After, err = afterOf(x); err != nil {
		return err
	}
	switch order := query.Get("order"); order {
	case "", "desc":
	case "asc":
		q.Ascending = true
	default:
		return jobs.Invalid("/order", "must be asc or desc")
	}
	ctx, cancel := s.storeContext(x.r.Context())
	defer cancel()
	page, more, err := s.cfg.Files.List(ctx, q)
	if err != nil {
		return err
	}
	data := make([]fileJSON, len(page))
	for i, f := range page {
		data[i] = encodeFile(f)
	}
	return surface.WriteJSON(x.w, http.StatusOK, newList(data, more, func(f fileJSON) string { return f.ID }))
}

// afterOf reads the id after which a list goes on; nil: from its beginning.
func afterOf(x *exchange) (uuid.UUID, error) {
	text := x.r.URL.Query().Get("after")
	if text == "" {
		return uuid.Nil, nil
	}
	id, err := surface.ParseID(text)
	if err != nil {
		return uuid.Nil, jobs.Invalid("/after", "must be an id of the list")
	}
	return id, nil
}

// fileContent is GET /v1/files/{id}/content.
func (s *Surface) fileContent(x *exchange) error {
	f, err := s.findFile(x)
	if err != nil {
		return err
	}
	if f.Batch != uuid.Nil {
		return s.answersContent(x, f)
	}
	out := x.download()
	out.header.Set("Content-Length", strconv.FormatInt(f.Bytes, 10))
	from := s.cfg.Files.Open(x.r.Context(), f.Tenant, f)
	buffer := make([]byte, copyBuffer)
	first := buffer[:min(f.Bytes, copyBuffer)]
	if _, err := io.ReadFull(from, first); err != nil {
		out.header.Del("Content-Length")
		return err // nothing is written yet
	}
	if _, err := out.Write(first); err != nil {
		return x.broken(err)
	}
	if _, err := io.CopyBuffer(out, from, buffer); err != nil {
		return x.broken(err)
	}
	return nil
}

// copyBuffer is how much of a file is passed on at a time.
const copyBuffer = 64 << 10

// download is an answer that may take long: each piece has the time of a small one.
type download struct {
	header  http.Header
	w       http.ResponseWriter
	conn    *http.ResponseController
	timeout time.Duration
	// begun says that something was written.
	begun bool
}

func (x *exchange) download() *download {
	x.w.Header().Set("Content-Type", "application/octet-stream")
	return &download{header: x.w.Header(), w: x.w, conn: http.NewResponseController(x.w), timeout: x.caller.WriteTimeout}
}

// Write implements [io.Writer].
func (d *download) Write(p []byte) (int, error) {
	d.begun = true
	_ = d.conn.SetWriteDeadline(time.Now().Add(d.timeout)) // a test's recorder has none
	return d.w.Write(p)
}
