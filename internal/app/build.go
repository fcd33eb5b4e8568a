package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/internal/embedredis"
	"github.com/penstock-dev/penstock/internal/httpapi"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/control"
	"github.com/penstock-dev/penstock/jobs/dispatch"
	"github.com/penstock-dev/penstock/jobs/live"
	"github.com/penstock-dev/penstock/jobs/queue"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers/lane"
	"github.com/penstock-dev/penstock/providers/latency"
	"github.com/penstock-dev/penstock/providers/tokens"
	"github.com/penstock-dev/penstock/storage"
	"github.com/penstock-dev/penstock/storage/sealed"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// parts are what a process is made of. A worker has no service, an API no
// runner.
type parts struct {
	store   jobs.Store
	signals jobs.Signals
	lanes   *lane.Lanes
	service *jobs.Service
	// hub hears of runs, relay tells of them.
	hub        *live.Hub
	relay      *live.Relay
	api        *httpapi.API
	dispatcher *dispatch.Dispatcher
	controller *control.Controller
	runner     *run.Runner
	reloader   *reloader
	webhooks   webhooks
	files      *files.Service
	batches    batching
	// redact is nil when all is kept as it was sent.
	redact jobs.Redactor
	// latencies are of the whole fleet's calls.
	latencies latencies
	// serves says that the API is more than health and metrics.
	serves bool
	// closers end what the parts stand on, the last opened first.
	closers []func() error
}

// build opens the store and Redis and makes the parts; it starts none.
func build(ctx context.Context, c Config, log zerolog.Logger) (p *parts, err error) {
	p = &parts{serves: c.Role.serves()}
	opened := p // what a failed return leaves of p is nil
	defer func() {
		if err != nil {
			opened.close()
		}
	}()
	o := newObserved(log)
	stores, err := p.openStore(ctx, c)
	if err != nil {
		return nil, err
	}
	client, err := p.openRedis(ctx, c, log)
	if err != nil {
		return nil, err
	}
	tasks, err := queue.New(client, queue.Config{PollInterval: c.pollInterval(), Report: o.failed("queue")})
	if err != nil {
		return nil, err
	}
	p.signals = queue.NewSignals(client, o.failed("signals"))
	bus := queue.NewBus(client, o.failed("bus"))
	p.hub, p.relay = live.NewHub(bus), live.NewRelay(bus)
	if p.lanes, err = buildLanes(client, stores.lanes, c.File); err != nil {
		return nil, err
	}
	p.buildLatencies(c, client, o)
	holder := uuid.Must(uuid.NewV7())
	if err := p.buildWebhooks(c, stores.webhooks, holder, o); err != nil {
		return nil, err
	}
	if p.redact, err = p.redactor(c.File.Redaction); err != nil {
		return nil, err
	}
	if err := p.buildFiles(ctx, c, stores, log); err != nil {
		return nil, err
	}
	if err := p.buildCore(c, tasks, holder, o); err != nil {
		return nil, err
	}
	if err := p.buildBatches(c, stores, holder, o); err != nil {
		return nil, err
	}
	return p, p.buildAPI(c, client, o) //nolint:contextcheck // each request has its own
}

// poolOf names the quota pool of a target, as the file in force has it.
func (p *parts) poolOf(t jobs.Target) string { return p.lanes.Of(t.String()).Pool }

// kept is what the parts keep beside jobs.
type kept struct {
	lanes    lane.Store
	webhooks delivery.Store
	files    files.Store
	batches  batches.Store
	// sealer seals what is kept elsewhere.
	sealer *sealed.Store
}

// openStore opens the store, and returns what is kept in it beside jobs.
func (p *parts) openStore(ctx context.Context, c Config) (kept, error) {
	if c.Role == RoleEmbedded {
		if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
			return kept{}, wrong("PENSTOCK_DATA_DIR", "cannot be made: %v", err)
		}
	}
	store, err := storage.Open(ctx, c.DatabaseURL)
	if err != nil {
		return kept{}, fmt.Errorf("open the store that PENSTOCK_DATABASE_URL names: %w", err)
	}
	s, err := sealed.New(ctx, store, sealed.Config{Secrets: c.Secrets, Local: c.LocalSecrets, KeyAge: c.File.DataKeyAge})
	if err == nil {
		p.store = s
		p.closers = append(p.closers, s.Close)
		k := kept{lanes: store, webhooks: s.Webhooks(store), files: s.Files(store), sealer: s}
		if b, ok := store.(batches.Store); ok {
			k.batches = s.Batches(b)
		}
		return k, nil
	}
	_ = store.Close()
	if errors.Is(err, sealed.ErrSecretMissing) {
		return kept{}, wrong("PENSTOCK_SECRET_KEY", "%v: add it behind the others; see docs/OPERATING.md", err)
	}
	return kept{}, fmt.Errorf("open the store that PENSTOCK_DATABASE_URL names: %w", err)
}

// openRedis returns the client of the configured Redis, or of one made in this
// process. A Redis that does not answer yet is no reason not to start.
func (p *parts) openRedis(ctx context.Context, c Config, log zerolog.Logger) (redis.UniversalClient, error) {
	if c.RedisURL == "" {
		server := embedredis.Start()
		p.closers = append(p.closers, server.Close)
		return server.Client(), nil
	}
	client, err := queue.Connect(c.RedisURL)
	if err != nil {
		return nil, wrong("PENSTOCK_REDIS_URL", "%v", err)
	}
	p.closers = append(p.closers, client.Close)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	warning, err := queue.Check(ctx, client)
	if err != nil {
		warning = "does not serve now: jobs are accepted and wait until it does: " + err.Error()
	}
	if warning != "" {
		log.Warn().Str("key", "PENSTOCK_REDIS_URL").Msg(warning)
	}
	return client, nil
}

// buildLatencies makes what knows how long calls take.
func (p *parts) buildLatencies(c Config, client redis.UniversalClient, o *observed) {
	p.latencies.fleet = latency.NewFleet(latency.Config{
		Redis: client, Pools: slices.Sorted(maps.Keys(c.File.Providers)), Report: o.failed("latency"),
	})
	o.registry.MustRegister(newPercentiles(p.latencies.fleet, c.File.targets()))
}

// buildCore makes what moves executions along.
func (p *parts) buildCore(c Config, tasks jobs.Queue, holder uuid.UUID, o *observed) (err error) {
	catalog := c.File.catalog()
	options := []jobs.ServiceOption{jobs.WithChecks(c.File.checks()), jobs.WithInputTokens(roughInput)}
	if p.redact != nil {
		options = append(options, jobs.WithRedactor(p.redact))
	}
	if p.webhooks.service != nil {
		options = append(options, jobs.WithWebhooks(p.webhooks.service.Resolve))
	}
	p.service = jobs.NewService(p.store, p.signals, catalog, options...)
	p.dispatcher, err = dispatch.New(dispatch.Config{
		Store: p.store, Queue: tasks, Catalog: catalog, Pools: c.File.sizes(), Groups: c.File.grouped(),
		Holder: holder, Observer: o.dispatch(), Signals: p.signals, Lanes: p.lanes, Weight: p.latencies.weight,
	})
	if err != nil {
		return err
	}
	p.controller, err = control.New(control.Config{
		Store: p.store, Queue: tasks, Signals: p.signals, Holder: holder, Observer: o.control(),
		Retention: c.File.Retention, Sweep: p.files.Sweep,
	})
	p.reloader = &reloader{load: c.reread, parts: p, catalog: catalog, o: o, file: c.File}
	if err != nil || !c.Role.runs() {
		return err
	}
	if p.reloader.built, err = buildProviders(c.File, o, nil); err != nil {
		return err
	}
	for _, b := range p.reloader.built {
		p.closers = append(p.closers, b.close)
	}
	host, _ := os.Hostname()
	p.runner, err = run.New(run.Config{
		Store: p.store, Queue: tasks, Signals: p.signals, Catalog: catalog, Providers: callable(p.reloader.built), Concurrency: c.File.concurrency(),
		Worker:       jobs.Worker{ID: holder, Name: fmt.Sprintf("%s/%d", host, os.Getpid())},
		DrainTimeout: c.File.DrainTimeout, Observer: p.webhooks.observe(p.latencies.observe(o.run())), Lanes: p.lanes, Pool: p.poolOf, Tokens: tokens.New(),
		HedgeAfter: p.latencies.hedgeAfter, Timeouts: p.latencies.timeouts,
		Live: func(t jobs.Task) run.Stream { return p.relay.Begin(t) },
	})
	return err
}

func (p *parts) buildAPI(c Config, client redis.UniversalClient, o *observed) (err error) {
	cfg := httpapi.Config{
		Store:             p.store,
		Queue:             pinger(func(ctx context.Context) error { return client.Ping(ctx).Err() }),
		Metrics:           promhttp.HandlerFor(o.registry, promhttp.HandlerOpts{}),
		Registerer:        o.registry,
		Log:               o.log,
		Reload:            p.reloader.forHTTP,
		TrustTenantHeader: c.File.TrustTenantHeader || onLoopback(c.Addr),
	}
	if onLoopback(c.Addr) {
		cfg.Hosts = []string{}
		for _, host := range c.File.Hosts {
			cfg.Hosts = append(cfg.Hosts, strings.ToLower(host))
		}
	}
	cfg.DrainDelay = c.drainDelay()
	if p.serves {
		cfg.Service, cfg.Follower = p.service, live.NewFollower(p.service, p.hub)
		cfg.Webhooks = p.webhooks.service
		if p.batches.service != nil {
			cfg.Batches, cfg.Files = p.batches.service, p.files
		}
		cfg.Surfaces = p.surfaces(c, p.reloader.catalog)
		cfg.Lanes = operated{
			lanes: p.lanes, latencies: p.latencies.fleet,
			targets: p.reloader.targets, pools: p.reloader.pools, limits: p.reloader.limits,
		}
	}
	p.api, err = httpapi.New(cfg)
	return err
}

type pinger func(context.Context) error

func (f pinger) Ping(ctx context.Context) error { return f(ctx) }

// stages lists what runs, in the order of stopping: accept no more, release no
// more, let calls end; deadlines are kept and signals heard until then. The
// health of a worker is told to the last.
func (p *parts) stages(l net.Listener) [][]part {
	serve := part{"api", func(ctx context.Context) error { return p.api.Serve(ctx, l) }}
	dispatching := []part{{"dispatch", p.dispatcher.Run}}
	if p.batches.keeper != nil {
		dispatching = append(dispatching, part{"keeper", p.batches.keeper.Run})
	}
	rest := []part{{"control", p.controller.Run}, {"signals", p.listen}}
	if p.serves {
		rest = append(rest, part{"waiters", p.service.Run}, part{"hub", p.hub.Run})
	}
	if p.runner != nil {
		rest = append(rest, part{"relay", p.relay.Run}, part{"latency", p.latencies.fleet.Run},
			part{"courier", p.webhooks.courier.Run}, part{"lane events", p.webhooks.lanes.run})
	}
	switch {
	case p.runner == nil:
		return [][]part{{serve}, dispatching, rest}
	case p.serves:
		return [][]part{{serve}, dispatching, {{"run", p.runner.Run}}, rest}
	default:
		return [][]part{dispatching, {{"run", p.runner.Run}}, append(rest, serve)}
	}
}

// listen passes signals on to those they concern.
func (p *parts) listen(ctx context.Context) error {
	return p.signals.Listen(ctx, func(s jobs.Signal) {
		switch {
		case s.Kind == jobs.SignalReady:
			p.dispatcher.WakeAt(s.At)
		case s.Kind == jobs.SignalStopped && p.runner != nil:
			p.runner.Stop(s.Executions)
		}
		p.webhooks.hear(s)
		p.batches.hear(s)
	}, p.heard()...)
}

// heard are the signals that this process does something about.
func (p *parts) heard() []jobs.SignalKind {
	all := []jobs.SignalKind{jobs.SignalReady, jobs.SignalStopped}
	if p.webhooks.courier != nil {
		all = append(all, jobs.SignalEnded, jobs.SignalWebhooks, jobs.SignalBatches)
	}
	return all
}

func (p *parts) close() error {
	var errs []error
	for _, closer := range slices.Backward(p.closers) {
		errs = append(errs, closer())
	}
	return errors.Join(errs...)
}
