// Package openai is the surface that OpenAI's clients speak to: models, chat
// completions, embeddings and responses, each a job of Penstock's. Shapes are those of
// OpenAI's own description of its API; source: the official SDKs, openai for Node 6.49
// and openai-go 3.95.
package openai

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// Jobs is what the surface needs of [jobs.Service].
type Jobs interface {
	Submit(ctx context.Context, n jobs.NewJob) (jobs.Submitted, error)
	Job(ctx context.Context, tenant string, id uuid.UUID) (jobs.Job, error)
	Wait(ctx context.Context, tenant string, id uuid.UUID, atMost time.Duration) (jobs.Job, error)
	Cancel(ctx context.Context, tenant string, id uuid.UUID) (jobs.Job, error)
	Delivered(ctx context.Context, job jobs.Job) error
	Delete(ctx context.Context, tenant string, id uuid.UUID) error
	Request(ctx context.Context, tenant string, id uuid.UUID) (jobs.Request, error)
	Calls(ctx context.Context, tenant string, id uuid.UUID) ([]jobs.Call, error)
}

// Follower opens the streams of jobs.
type Follower interface {
	Open(ctx context.Context, tenant string, id uuid.UUID) (jobs.Stream, error)
}

// Catalog knows what a caller's model may name.
type Catalog interface {
	Models() []jobs.Model
	Resolve(model string) (jobs.Route, error)
}

var (
	_ Jobs    = (*jobs.Service)(nil)
	_ Catalog = (*jobs.Catalog)(nil)
)

// Config says what the surface is made of.
type Config struct {
	Jobs     Jobs
	Follower Follower
	Catalog  Catalog
	// Files and Batches serve /v1/files and /v1/batches, which are not there without both.
	Files   Files
	Batches Batches
	// Timeout is how long a caller may wait for an answer in one request, which is the
	// deadline of its job; default 10 minutes, which is how long the SDKs wait.
	Timeout time.Duration
	// StoreTimeout bounds one use of Jobs; default 30 s. Waiting for a job comes on top.
	StoreTimeout time.Duration
}

// Surface answers OpenAI's clients. It is safe for use by many goroutines.
type Surface struct {
	cfg Config
	mux *http.ServeMux
}

var _ surface.Surface = (*Surface)(nil)

// New returns the surface.
func New(cfg Config) *Surface {
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Minute
	}
	if cfg.StoreTimeout == 0 {
		cfg.StoreTimeout = 30 * time.Second
	}
	s := &Surface{cfg: cfg, mux: http.NewServeMux()}
	for _, r := range s.routes() {
		s.mux.HandleFunc(r.pattern, s.handler(r.handle))
	}
	return s
}

// route is one operation.
type route struct {
	pattern string
	handle  func(*exchange) error
}

func (s *Surface) routes() []route {
	all := []route{
		{"GET /v1/models", s.models},
		{"GET /v1/models/{id...}", s.model}, // ids have slashes
		{"POST /v1/chat/completions", s.chat},
		{"POST /v1/embeddings", s.embeddings},
		{"POST /v1/responses", s.respond},
		{"GET /v1/responses/{id}", s.response},
		{"DELETE /v1/responses/{id}", s.deleteResponse},
		{"POST /v1/responses/{id}/cancel", s.cancelResponse},
		{"GET /v1/responses/{id}/input_items", s.inputItems},
	}
	if s.cfg.Files == nil || s.cfg.Batches == nil {
		return all
	}
	return slices.Concat(all, s.fileRoutes(), s.batchRoutes())
}

// Routes implements [surface.Surface].
func (s *Surface) Routes() []string {
	var patterns []string
	for _, r := range s.routes() {
		patterns = append(patterns, r.pattern)
	}
	return patterns
}

// ServeHTTP answers one request.
func (s *Surface) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Refuse implements [surface.Surface].
func (s *Surface) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	writeError(w, surface.CallerOf(r.Context()), errorOf(err))
}

// exchange is one request and its answer.
type exchange struct {
	w      http.ResponseWriter
	r      *http.Request
	caller *surface.Caller
}

func (s *Surface) handler(handle func(*exchange) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{w: w, r: r, caller: surface.CallerOf(r.Context())}
		err := handle(x)
		if err == nil {
			return
		}
		if x.left() {
			x.caller.Failure = err
			return // nobody is there to read an answer
		}
		writeError(w, x.caller, errorOf(err))
	}
}

// left reports whether the client has closed its connection.
func (x *exchange) left() bool { return surface.Left(x.r) }

// storeContext bounds one use of the service.
func (s *Surface) storeContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.cfg.StoreTimeout)
}

// afterContext bounds one that is made though the request may be over.
func (s *Surface) afterContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return s.storeContext(context.WithoutCancel(ctx))
}

func (s *Surface) chat(x *exchange) error { return s.answer(x, providers.ChatCompletions) }

func (s *Surface) embeddings(x *exchange) error { return s.answer(x, providers.Embeddings) }
