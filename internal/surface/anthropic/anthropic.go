// Package anthropic is Penstock in the shapes of Anthropic's API: messages, and batches
// of them. Its clients work unchanged, whatever provider serves them. Sources: the API
// reference and the official SDKs for TypeScript (0.120) and Go (1.84).
//
// Every API version and every beta header is accepted. What a provider cannot carry is
// refused with the field's name.
package anthropic

import (
	"cmp"
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// Jobs is what the surface needs of [jobs.Service].
type Jobs interface {
	Submit(ctx context.Context, n jobs.NewJob) (jobs.Submitted, error)
	Wait(ctx context.Context, tenant string, id uuid.UUID, atMost time.Duration) (jobs.Job, error)
	Cancel(ctx context.Context, tenant string, id uuid.UUID) (jobs.Job, error)
}

// Follower opens the streams of jobs: see jobs/live.
type Follower interface {
	Open(ctx context.Context, tenant string, id uuid.UUID) (jobs.Stream, error)
}

// Batches is what the surface needs of [batches.Service].
type Batches interface {
	Create(ctx context.Context, n batches.New) (b batches.Batch, replayed bool, err error)
	Batch(ctx context.Context, tenant string, id uuid.UUID) (batches.Batch, error)
	List(ctx context.Context, q batches.Query) (page []batches.Batch, more bool, err error)
	Cancel(ctx context.Context, tenant string, id uuid.UUID) (batches.Batch, error)
	Delete(ctx context.Context, tenant string, id uuid.UUID) error
	Answers(ctx context.Context, q batches.AnswerQuery) iter.Seq2[batches.Answer, error]
}

// Files is what the surface needs of [files.Service].
type Files interface {
	Create(ctx context.Context, n files.New) (*files.Writer, error)
	File(ctx context.Context, tenant string, id uuid.UUID) (files.File, error)
	Delete(ctx context.Context, tenant string, id uuid.UUID) error
	Open(ctx context.Context, tenant string, f files.File) *files.Reader
}

var (
	_ Jobs    = (*jobs.Service)(nil)
	_ Batches = (*batches.Service)(nil)
	_ Files   = (*files.Service)(nil)
)

// Config says what a [Surface] stands on.
type Config struct {
	Jobs     Jobs
	Follower Follower
	// Batches and Files serve message batches, which are not there without them.
	Batches Batches
	Files   Files
	// PublicURL is where callers reach the surface; empty: where each just did.
	PublicURL string
	// InputTokens estimates the input of a request for an endpoint.
	InputTokens func(endpoint string, body []byte) int64
	// Timeout is how long a caller may wait for an answer in one request, which is the
	// deadline of its job; default 10 minutes, which is how long the SDKs wait.
	Timeout time.Duration
	// StoreTimeout bounds one use of a service; default 30 s. Waiting for a job comes on
	// top.
	StoreTimeout time.Duration
}

// Surface serves /v1/messages and what is below it. It is safe for use by many
// goroutines.
type Surface struct {
	cfg    Config
	routes []string
	mux    *http.ServeMux
}

var _ surface.Surface = (*Surface)(nil)

// New returns the surface.
func New(cfg Config) *Surface {
	cfg.Timeout = cmp.Or(cfg.Timeout, 10*time.Minute)
	cfg.StoreTimeout = cmp.Or(cfg.StoreTimeout, 30*time.Second)
	s := &Surface{cfg: cfg, mux: http.NewServeMux()}
	s.route("POST /v1/messages", s.createMessage)
	s.route("POST /v1/messages/count_tokens", s.countTokens)
	if cfg.Batches != nil && cfg.Files != nil {
		s.routeBatches()
	}
	return s
}

func (s *Surface) routeBatches() {
	s.route("POST /v1/messages/batches", s.createBatch)
	s.route("GET /v1/messages/batches", s.listBatches)
	s.route("GET /v1/messages/batches/{id}", s.getBatch)
	s.route("DELETE /v1/messages/batches/{id}", s.deleteBatch)
	s.route("POST /v1/messages/batches/{id}/cancel", s.cancelBatch)
	s.route("GET /v1/messages/batches/{id}/results", s.batchResults)
}

// Routes implements [surface.Surface].
func (s *Surface) Routes() []string { return s.routes }

// ServeHTTP implements [surface.Surface].
func (s *Surface) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// route has handle answer what matches the pattern. An error that it returns, it has not
// answered.
func (s *Surface) route(pattern string, handle func(*exchange) error) {
	s.routes = append(s.routes, pattern)
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		x := newExchange(w, r)
		x.storeTimeout = s.cfg.StoreTimeout
		if err := handle(x); err != nil {
			x.fail(err)
		}
	})
}

// Refuse implements [surface.Surface].
func (s *Surface) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	newExchange(w, r).fail(err)
}
