package app

import (
	"cmp"
	"errors"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/gemini"
)

// File is the configuration file. Unknown keys are refused; ${NAME} in a value
// is the environment variable NAME, which must be set.
type File struct {
	// Providers by name: [a-z0-9_-], at most 32 characters. At least one.
	Providers map[string]ProviderConfig `yaml:"providers"`
	// Routes by name.
	Routes map[string]RouteConfig `yaml:"routes"`
	// UseCases are what jobs may be for, by name; absent: all are one.
	UseCases map[string]UseCaseConfig `yaml:"use_cases"`
	// TrustTenantHeader believes the header Penstock-Tenant on an address that
	// others can reach; set it behind a gateway that sets the header. False: it
	// is believed on a loopback address alone.
	TrustTenantHeader bool `yaml:"trust_tenant_header"`
	// Hosts are names under which an API on a loopback address is asked beside
	// localhost, by a proxy on the same machine that passes them on.
	Hosts []string `yaml:"hosts"`
	// DrainDelay is how long an API that stops answers on, with /readyz at 503,
	// for load balancers to notice; absent: 2s, embedded none.
	DrainDelay *time.Duration `yaml:"drain_delay"`
	// DrainTimeout is how long a stop waits for calls under way; 0: 11 minutes,
	// which outlasts the longest call of the default timeouts.
	DrainTimeout time.Duration `yaml:"drain_timeout"`
	// Retention is how long jobs are kept, with all that is theirs, from when they
	// were made; default 0: 30 days. Tenants may have less.
	Retention jobs.Retention `yaml:"retention"`
	// DataKeyAge is how long a tenant's data key seals what is new; 0: 90 days.
	DataKeyAge time.Duration `yaml:"data_key_age"`
	// Redaction is what is taken out of submissions; absent: nothing.
	Redaction *RedactionConfig `yaml:"redaction"`
	// Surfaces are APIs beside Penstock's own, for clients of others.
	Surfaces SurfacesConfig `yaml:"surfaces"`
	// Webhooks is where they may go, and how many at once.
	Webhooks WebhooksConfig `yaml:"webhooks"`
	// Files is where the bytes of files are.
	Files FilesConfig `yaml:"files"`
	// Tenants is what is particular to some, by name.
	Tenants map[string]TenantConfig `yaml:"tenants"`
}

// ProviderConfig is one provider.
type ProviderConfig struct {
	// Type is openai, anthropic or gemini, for any server that speaks that wire
	// format, or simulated.
	Type string `yaml:"type"`
	// BaseURL is such as https://api.openai.com/v1, which is the default of type
	// openai; that of anthropic is https://api.anthropic.com/v1, that of gemini
	// https://generativelanguage.googleapis.com/v1beta.
	BaseURL string `yaml:"base_url"`
	// URL says where each call goes, instead of BaseURL: a template with {model}
	// and {endpoint}.
	URL string `yaml:"url"`
	// Headers go with every call and win over all others.
	Headers map[string]string `yaml:"headers"`
	// Auth is how the key is sent; absent: as the type does.
	Auth *AuthConfig `yaml:"auth"`
	// APIKey is sent as bearer token, to type anthropic as x-api-key, to type gemini
	// as x-goog-api-key; empty sends none.
	APIKey string `yaml:"api_key"`
	// APIKeys are several, of which the first that the provider takes is used.
	APIKeys []string `yaml:"api_keys"`
	// APIKeyFile and APIKeyFiles are files with a key each, behind those above.
	APIKeyFile  string   `yaml:"api_key_file"`
	APIKeyFiles []string `yaml:"api_key_files"`
	// Models may be named by callers without the provider. Others only as
	// provider/model.
	Models []string `yaml:"models"`
	// Prices are what models cost, by name; of one that is not here it is not known.
	Prices map[string]PriceConfig `yaml:"prices"`
	// Concurrency is how many calls the whole fleet makes at once; 0: 64.
	Concurrency int `yaml:"concurrency"`
	// Limits are what the provider's own are, for the whole fleet; absent: none but
	// those that it tells of.
	Limits LimitsConfig `yaml:"limits"`
	// Timeouts bound its calls, where their route does not say otherwise.
	Timeouts TimeoutsConfig `yaml:"timeouts"`
	// Pools are groups of models, by name, that the provider meters apart: their
	// calls are not among those of Concurrency and Limits.
	Pools map[string]PoolConfig `yaml:"pools"`
	// Latency is the median time to the first token of a simulated provider;
	// absent: 250ms.
	Latency *time.Duration `yaml:"latency"`
	// Faults names a JSON file of what goes wrong with a simulated provider, as
	// cmd/simulator takes it; instead of Latency.
	Faults string `yaml:"faults"`
	// Seed makes a simulated provider repeatable.
	Seed uint64 `yaml:"seed"`
	// MaxTokens bounds the answers of type anthropic to requests that name no
	// limit: its format requires one. 0: 8192.
	MaxTokens int64 `yaml:"max_tokens"`
	// Endpoints are those a server of type openai has: chat/completions,
	// embeddings, responses. Absent: the first two, and the third of OpenAI itself.
	Endpoints []string `yaml:"endpoints"`
	// NoStreaming, NoStreamOptions and NoDoneEvent are for servers that cannot
	// stream, that refuse stream_options, or that end streams without [DONE].
	NoStreaming     bool `yaml:"no_streaming"`
	NoStreamOptions bool `yaml:"no_stream_options"`
	NoDoneEvent     bool `yaml:"no_done_event"`
}

// AuthConfig is how a key is sent: in Header, behind Scheme if that is not empty.
type AuthConfig struct {
	Header string `yaml:"header"`
	Scheme string `yaml:"scheme"`
}

// RouteConfig is one route.
type RouteConfig struct {
	// Mode is active_passive, which is the default: targets in order, the next when
	// those before it are not worth waiting for; or active_active: any of them, the
	// better ones more often.
	Mode jobs.Mode `yaml:"mode"`
	// Patience is how long a job waits for a target that lets nothing through before
	// the next one is called; absent: 5s.
	Patience *time.Duration `yaml:"patience"`
	// Hedge makes a second call, to the next target, when the first token is late;
	// absent: never.
	Hedge HedgeConfig `yaml:"hedge"`
	// OnUnavailable is what jobs want that do not say, when no target can be called:
	// wait, which is the default, fail or degrade.
	OnUnavailable string `yaml:"on_unavailable"`
	// Degraded are lesser targets, provider/model, for jobs that would rather degrade
	// than wait; absent: none.
	Degraded []string `yaml:"degraded"`
	// Weigh is how much speed and price count where Mode is active_active.
	Weigh WeighConfig `yaml:"weigh"`
	// UseCase is what jobs are for that do not say; empty: default.
	UseCase string `yaml:"use_case"`
	// Targets are provider/model, at least one.
	Targets []string `yaml:"targets"`
	// Timeouts bound one call, before those of its provider; Timeout is short for
	// their total.
	Timeouts TimeoutsConfig `yaml:"timeouts"`
	Timeout  time.Duration  `yaml:"timeout"`
	// AdaptiveTimeouts bounds calls by what others to the same target took lately,
	// within these bounds.
	AdaptiveTimeouts bool `yaml:"adaptive_timeouts"`
	// MaxAttempts bounds the calls that failed in a way that counts; 0: 5.
	MaxAttempts int `yaml:"max_attempts"`
}

// LimitsConfig are a provider's limits a minute; 0: none.
type LimitsConfig struct {
	RPM  int64 `yaml:"rpm"`
	ITPM int64 `yaml:"itpm"`
	OTPM int64 `yaml:"otpm"`
}

// HedgeConfig says how many second calls there may be.
type HedgeConfig struct {
	// Budget is which part of the calls may be second ones, such as 0.05.
	Budget float64 `yaml:"budget"`
}

const (
	defaultPatience    = 5 * time.Second
	defaultConcurrency = 64
	defaultMaxAttempts = 5
	defaultDrain       = 11 * time.Minute
	defaultRetention   = 30 * 24 * time.Hour
	maxConcurrency     = 10_000
	maxProviders       = 64
)

// embeddedFile is what an embedded process runs with when there is no file.
func embeddedFile() File {
	return File{
		Providers: map[string]ProviderConfig{"sim": {Type: "simulated", Models: []string{"sim-1"}}},
		Routes:    map[string]RouteConfig{"default": {Targets: []string{"sim/sim-1"}}},
	}
}

func loadFile(role Role, path string, getenv func(string) string) (File, error) {
	f := embeddedFile()
	switch {
	case path != "":
		raw, err := os.ReadFile(path)
		if err != nil {
			return File{}, wrong("PENSTOCK_CONFIG", "cannot be read: %v", err)
		}
		if f, err = parseFile(raw, getenv); err != nil {
			return File{}, err
		}
	case role != RoleEmbedded:
		return File{}, wrong("PENSTOCK_CONFIG", "expected the path of a configuration file that names providers; see examples/penstock.yaml")
	}
	f.fillDefaults()
	return f, f.validate()
}

func parseFile(raw []byte, getenv func(string) string) (File, error) {
	var f File
	if err := readDocument(raw, &f); err != nil {
		return File{}, err
	}
	var mistakes ConfigErrors
	for _, name := range slices.Sorted(maps.Keys(f.Providers)) {
		p := f.Providers[name]
		mistakes = mistakes.with(expandProvider(&p, "providers."+name, getenv))
		f.Providers[name] = p
	}
	if f.Redaction != nil {
		mistakes = mistakes.with(f.Redaction.expand(getenv))
	}
	mistakes = mistakes.with(f.Webhooks.expand(getenv))
	mistakes = mistakes.with(f.Files.expand(getenv))
	for _, name := range slices.Sorted(maps.Keys(f.Tenants)) {
		mistakes = mistakes.with(f.Tenants[name].expand(name, getenv))
	}
	return f, mistakes.err()
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

func expand(s string, getenv func(string) string) (string, error) {
	var missing error
	out := variable.ReplaceAllStringFunc(s, func(ref string) string {
		name := ref[2 : len(ref)-1]
		if getenv(name) == "" {
			missing = errors.New("expected the environment variable " + name + " to be set")
		}
		return getenv(name)
	})
	return out, missing
}

func (f *File) fillDefaults() {
	for name, p := range f.Providers {
		if p.Concurrency == 0 {
			p.Concurrency = defaultConcurrency
		}
		for group, g := range p.Pools {
			g.Concurrency = cmp.Or(g.Concurrency, defaultConcurrency)
			p.Pools[group] = g
		}
		f.Providers[name] = p
	}
	for name, r := range f.Routes {
		if r.Mode == "" {
			r.Mode = jobs.ActivePassive
		}
		if r.Patience == nil {
			r.Patience = new(defaultPatience)
		}
		if r.MaxAttempts == 0 {
			r.MaxAttempts = defaultMaxAttempts
		}
		f.Routes[name] = r
	}
	if f.DrainTimeout == 0 {
		f.DrainTimeout = defaultDrain
	}
	if f.Retention.Default == 0 {
		f.Retention.Default = defaultRetention
	}
	f.Webhooks.fillDefaults()
}

var providerName = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

// validate returns every mistake: one of each provider and route, and what is
// wrong beside them.
func (f *File) validate() error {
	var mistakes ConfigErrors
	if len(f.Providers) == 0 || len(f.Providers) > maxProviders {
		mistakes = mistakes.with(wrong("providers", "expected 1 to %d providers, got %d", maxProviders, len(f.Providers)))
	}
	for _, name := range slices.Sorted(maps.Keys(f.Providers)) {
		mistakes = mistakes.with(f.Providers[name].validate(name))
	}
	for _, name := range slices.Sorted(maps.Keys(f.Routes)) {
		mistakes = mistakes.with(f.Routes[name].validate(name, f.Providers))
	}
	mistakes = mistakes.with(f.validateUseCases())
	if f.DrainDelay != nil && *f.DrainDelay < 0 {
		mistakes = mistakes.with(wrong("drain_delay", "expected a duration such as 2s, got %s", *f.DrainDelay))
	}
	if f.DrainTimeout < 0 {
		mistakes = mistakes.with(wrong("drain_timeout", "expected a duration such as 11m, got %s", f.DrainTimeout))
	}
	if err := f.Retention.Validate(); err != nil {
		mistakes = mistakes.with(wrong("retention", "%v", err))
	}
	if f.DataKeyAge != 0 && f.DataKeyAge < time.Hour {
		mistakes = mistakes.with(wrong("data_key_age", "expected a duration of at least 1h, such as 2160h, got %s", f.DataKeyAge))
	}
	if f.Redaction != nil {
		mistakes = mistakes.with(f.Redaction.validate())
	}
	mistakes = mistakes.with(f.validateWebhooks())
	mistakes = mistakes.with(f.Files.validate())
	return mistakes.err()
}

func (p ProviderConfig) validate(name string) error {
	key := "providers." + name
	if !providerName.MatchString(name) {
		return wrong(key, "expected a name of 1 to 32 characters out of a-z, 0-9, _ and -")
	}
	if p.Concurrency < 0 || p.Concurrency > maxConcurrency {
		return wrong(key+".concurrency", "expected 1 to %d, got %d", maxConcurrency, p.Concurrency)
	}
	if err := errors.Join(p.Limits.validate(key+".limits"), p.validatePools(key), p.validatePrices(key)); err != nil {
		return err
	}
	if err := p.Timeouts.validate(key + ".timeouts"); err != nil {
		return err
	}
	if p.MaxTokens != 0 && p.Type != "anthropic" {
		return wrong(key+".max_tokens", "belongs to type anthropic")
	}
	if len(p.Endpoints) > 0 && p.Type != "openai" {
		return wrong(key+".endpoints", "belongs to type openai")
	}
	if (p.NoStreamOptions || p.NoDoneEvent) && (p.Type == "anthropic" || p.Type == "gemini") {
		return wrong(key, "no_stream_options and no_done_event belong to type openai")
	}
	switch p.Type {
	case "openai":
		if err := p.validateEndpoints(key); err != nil {
			return err
		}
		return p.validateRemote(key, "https://api.openai.com/v1")
	case "gemini":
		return p.validateRemote(key, gemini.DefaultBaseURL)
	case "anthropic":
		if p.MaxTokens < 0 {
			return wrong(key+".max_tokens", "expected at least 1, got %d", p.MaxTokens)
		}
		return p.validateRemote(key, "https://api.anthropic.com/v1")
	case "simulated":
		if p.BaseURL != "" || p.URL != "" || p.Headers != nil || p.Auth != nil || len(p.keys()) > 0 {
			return wrong(key, "base_url, url, headers, auth and keys do not belong to type simulated; for cmd/simulator use type openai")
		}
		if p.Latency != nil && p.Faults != "" {
			return wrong(key, "expected latency or faults, not both")
		}
		if p.Latency != nil && *p.Latency < 0 {
			return wrong(key+".latency", "expected a duration such as 250ms, got %s", *p.Latency)
		}
	default:
		return wrong(key+".type", "expected openai, anthropic, gemini or simulated, got %q", p.Type)
	}
	return nil
}

// openAIEndpoints are the names of the endpoints that type openai can have.
var openAIEndpoints = map[string]string{
	"chat/completions": providers.ChatCompletions,
	"embeddings":       providers.Embeddings,
	"responses":        providers.Responses,
}

func (p ProviderConfig) validateEndpoints(key string) error {
	for _, name := range p.Endpoints {
		if openAIEndpoints[name] == "" {
			return wrong(key+".endpoints", "expected some of %s, got %q",
				strings.Join(slices.Sorted(maps.Keys(openAIEndpoints)), ", "), name)
		}
	}
	return nil
}

func (r RouteConfig) validate(name string, providers map[string]ProviderConfig) error {
	key := "routes." + name
	if name == "" || len(name) > 64 || strings.Contains(name, "/") {
		return wrong("routes", "expected names of 1 to 64 characters without /, got %q", name)
	}
	if r.Mode != jobs.ActivePassive && r.Mode != jobs.ActiveActive {
		return wrong(key+".mode", "expected active_passive or active_active, got %q", r.Mode)
	}
	if *r.Patience < 0 {
		return wrong(key+".patience", "expected a duration such as 5s, got %s", *r.Patience)
	}
	if !(r.Hedge.Budget >= 0 && r.Hedge.Budget <= 0.5) || r.Hedge.Budget > 0 && len(r.Targets) < 2 {
		return wrong(key+".hedge.budget", "expected 0 to 0.5, of a route with two targets or more, got %v", r.Hedge.Budget)
	}
	if len(r.Targets) == 0 {
		return wrong(key+".targets", "expected at least one provider/model")
	}
	if err := validateTargets(key+".targets", r.Targets, providers); err != nil {
		return err
	}
	if err := r.Weigh.validate(key + ".weigh"); err != nil {
		return err
	}
	if err := r.validateUnavailable(key, providers); err != nil {
		return err
	}
	if r.Timeout < 0 {
		return wrong(key+".timeout", "expected a duration such as 60s, got %s", r.Timeout)
	}
	if r.Timeout > 0 && r.Timeouts.Total > 0 {
		return wrong(key+".timeout", "is short for timeouts.total; expected one of them")
	}
	if err := r.Timeouts.validate(key + ".timeouts"); err != nil {
		return err
	}
	if r.MaxAttempts < 0 || r.MaxAttempts > 100 {
		return wrong(key+".max_attempts", "expected 1 to 100, got %d", r.MaxAttempts)
	}
	return nil
}

// catalog returns what callers may name.
func (f *File) catalog() *jobs.Catalog {
	models := make(map[string][]string, len(f.Providers))
	for name, p := range f.Providers {
		models[name] = p.Models
	}
	timeouts := f.providerTimeouts()
	routes := make([]jobs.Route, 0, len(f.Routes))
	for name, r := range f.Routes {
		route := r.route(name)
		route.ProviderTimeouts = timeouts
		routes = append(routes, route)
	}
	defaults := jobs.Route{MaxAttempts: defaultMaxAttempts, ProviderTimeouts: timeouts}
	return jobs.NewCatalog(routes, models, defaults).WithUseCases(f.useCases()).WithPrices(f.prices())
}

func (r RouteConfig) route(name string) jobs.Route {
	route := jobs.Route{
		Name: name, Mode: r.Mode, MaxAttempts: r.MaxAttempts, Timeouts: r.Timeouts.timeouts(),
		HedgeBudget: r.Hedge.Budget, UseCase: r.UseCase, Weigh: r.Weigh.weigh(), Adaptive: r.AdaptiveTimeouts,
	}
	route.Timeouts.Total = max(route.Timeouts.Total, r.Timeout)
	if r.Patience != nil {
		route.Patience = *r.Patience
	}
	route.Targets, route.Degraded = targetsOf(r.Targets), targetsOf(r.Degraded)
	route.OnUnavailable, _ = jobs.ParseOnUnavailable(r.OnUnavailable) // validated; nothing is wait
	return route
}
