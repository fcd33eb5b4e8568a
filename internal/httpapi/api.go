// Package httpapi is Penstock's HTTP face: it decodes strictly, asks
// [jobs.Service], and answers in the words of openapi.yaml. It is the one place
// that knows HTTP statuses and the echo router.
package httpapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// API answers HTTP requests. It is an [http.Handler], safe for use by many
// goroutines; [API.Serve] runs it on a listener.
type API struct {
	cfg      Config
	echo     *echo.Echo
	metrics  *metrics
	waiters  *waiters
	bodies   budget
	draining atomic.Bool
	// streams are those under way: net/http does not know of them.
	streams sync.WaitGroup
}

var _ http.Handler = (*API)(nil)

// Service is what the API needs of [jobs.Service].
type Service interface {
	Submit(ctx context.Context, n jobs.NewJob) (jobs.Submitted, error)
	Job(ctx context.Context, tenant string, id uuid.UUID) (jobs.Job, error)
	Wait(ctx context.Context, tenant string, id uuid.UUID, atMost time.Duration) (jobs.Job, error)
	List(ctx context.Context, q jobs.JobQuery) (page []jobs.Job, more bool, err error)
	Cancel(ctx context.Context, tenant string, id uuid.UUID) (jobs.Job, error)
	Retry(ctx context.Context, tenant string, id uuid.UUID) (jobs.Submitted, error)
	Delete(ctx context.Context, tenant string, id uuid.UUID) error
	Calls(ctx context.Context, tenant string, id uuid.UUID) ([]jobs.Call, error)
	Delivered(ctx context.Context, job jobs.Job) error
}

var _ Service = (*jobs.Service)(nil)

// Follower opens the streams of jobs: see jobs/live.
type Follower interface {
	Open(ctx context.Context, tenant string, id uuid.UUID) (jobs.Stream, error)
}

// Pinger is an outside part that can be asked whether it answers.
type Pinger interface {
	Ping(ctx context.Context) error
}

// Config says what an [API] serves and how much of it. All but Store may be
// left out.
type Config struct {
	// Service takes jobs and tells of them. Without one the API has health and
	// metrics only, which is what a worker serves.
	Service Service
	// Follower serves GET /v1/jobs/{id}/events, which is not there without one.
	Follower Follower
	// Lanes serves GET /v1/lanes and what operators do, to who is on the machine; not
	// there without it.
	Lanes Lanes
	// Webhooks serves /v1/webhook-endpoints and what belongs to it, which are not there
	// without it.
	Webhooks Webhooks
	// Batches serves /v1/job-batches, whose requests Files keeps; not there without both.
	Batches Batches
	Files   Files
	// Surfaces are APIs of other shapes; a worker has none.
	Surfaces []surface.Surface
	// Store must answer for /readyz to say ready.
	Store Pinger
	// Queue, when it does not answer, makes /readyz say degraded: jobs are
	// accepted all the same, and run when it is back.
	Queue Pinger
	// Metrics serves /metrics, and Registerer takes the API's own metrics. Both
	// are given or neither is; without them the API has a registry of its own.
	Metrics    http.Handler
	Registerer prometheus.Registerer
	// Reload reads the configuration again for POST /v1/admin/reload, which is not
	// there without it. A [ConfigErrors] is answered with its mistakes.
	Reload func() (Reloaded, error)
	// Log gets one line per request. The zero logger writes nothing.
	Log zerolog.Logger

	// TrustTenantHeader believes the header Penstock-Tenant. It is for an API
	// that only trusted callers reach: one on a loopback address, or behind a
	// gateway that sets the header. Otherwise the header is ignored and all
	// requests are those of [DefaultTenant].
	TrustTenantHeader bool
	// Hosts are the names, in lower case, under which the API is asked beside
	// localhost and loopback addresses; requests for others are refused. Nil: all
	// names will do.
	Hosts []string
	// MaxBody is the largest request body in bytes; 8 MiB by default. MaxBodies
	// bounds all that are read and looked at together; 256 MiB by default. What
	// is beyond it is answered 429.
	MaxBody, MaxBodies int64
	// MaxWaiters is how many requests may wait for jobs or stream them at once;
	// 20,000 by default. A wait beyond it is answered at once with the job as it
	// is, a stream with 429.
	MaxWaiters int
	// StoreTimeout bounds one use of the service; 30 s by default. Waiting for a
	// job comes on top.
	StoreTimeout time.Duration
	// BodyTimeout bounds reading a request body; 60 s by default.
	BodyTimeout time.Duration
	// WriteTimeout bounds writing an answer, from its first byte; 60 s by default.
	WriteTimeout time.Duration
	// IdleTimeout closes connections without requests; 2 min by default.
	IdleTimeout time.Duration
	// DrainDelay is how long /readyz answers 503 before the listener closes, for
	// load balancers to notice; none by default.
	DrainDelay time.Duration
	// DrainTimeout bounds finishing requests after the listener closed; 30 s by
	// default.
	DrainTimeout time.Duration
}

// New returns an API as cfg says. It does not listen yet. An error names the
// field at fault.
func New(cfg Config) (*API, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	a := &API{cfg: cfg, metrics: m, waiters: newWaiters(cfg.MaxWaiters), bodies: budget{limit: cfg.MaxBodies}}
	a.echo, err = a.router()
	return a, err
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.echo.ServeHTTP(w, r) }

// router joins the routes and what every request goes through, outermost
// first: begin logs and counts whatever the others answered; answerErrors puts
// what failed into words; recoverPanics makes a panic one more failure.
func (a *API) router() (*echo.Echo, error) {
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect()
	e.Logger.SetOutput(io.Discard)
	e.Use(a.begin, answerErrors, recoverPanics)
	for _, r := range a.routes() {
		e.Add(r.method, r.path, r.handler())
		if r.method == http.MethodGet {
			e.Add(http.MethodHead, r.path, r.handler())
		}
	}
	for _, s := range a.cfg.Surfaces {
		if err := a.mount(e, s); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func (c *Config) complete() error {
	if c.Store == nil {
		return fmt.Errorf("httpapi: Store is missing")
	}
	if (c.Metrics == nil) != (c.Registerer == nil) {
		return fmt.Errorf("httpapi: Metrics and Registerer: give both or neither")
	}
	if c.Metrics == nil {
		own := prometheus.NewRegistry()
		c.Metrics, c.Registerer = promhttp.HandlerFor(own, promhttp.HandlerOpts{}), own
	}
	if c.MaxBody < 0 || c.MaxBodies < 0 || c.MaxWaiters < 0 {
		return fmt.Errorf("httpapi: MaxBody, MaxBodies and MaxWaiters must not be negative")
	}
	if c.MaxBody == 0 {
		c.MaxBody = 8 << 20
	}
	if c.MaxBodies == 0 {
		c.MaxBodies = 256 << 20
	}
	if c.MaxWaiters == 0 {
		c.MaxWaiters = 20_000
	}
	return c.completeTimes()
}

func (c *Config) completeTimes() error {
	for _, t := range []struct {
		name     string
		value    *time.Duration
		fallback time.Duration
	}{
		{"StoreTimeout", &c.StoreTimeout, 30 * time.Second},
		{"BodyTimeout", &c.BodyTimeout, time.Minute},
		{"WriteTimeout", &c.WriteTimeout, time.Minute},
		{"IdleTimeout", &c.IdleTimeout, 2 * time.Minute},
		{"DrainDelay", &c.DrainDelay, 0},
		{"DrainTimeout", &c.DrainTimeout, 30 * time.Second},
	} {
		if *t.value < 0 {
			return fmt.Errorf("httpapi: %s must not be negative", t.name)
		}
		if *t.value == 0 {
			*t.value = t.fallback
		}
	}
	return nil
}
