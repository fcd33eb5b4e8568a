// Package simulated is a model provider that is not there: a server speaking
// the wire formats of OpenAI, Anthropic and Gemini, with believable latency and with faults to order. It
// runs in this process, without any network, or behind cmd/simulator.
//
// The same seed, faults and requests give the same answers and meet the same
// fate: both hang on the request's body and on how many times it was sent.
package simulated

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/internal/memnet"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/anthropic"
	"github.com/penstock-dev/penstock/providers/gemini"
	"github.com/penstock-dev/penstock/providers/openai"
)

// Config says how a server behaves. The zero value is a good server with a
// small believable latency.
type Config struct {
	// Seed decides every draw. Default: 0, a seed like any other.
	Seed uint64
	// Faults is how the server behaves at first. Default: DefaultFaults().
	// &Faults{} is a server that answers at once.
	Faults *Faults
	// KeptCalls is how many calls the log keeps. Default: 10,000.
	KeptCalls int
}

// Server is an http.Handler that answers as a model provider would. Close it
// to end the calls it is still sitting on.
type Server struct {
	seed    uint64
	mux     *http.ServeMux
	started time.Time
	log     *callLog
	fates   *fates

	mu      sync.Mutex
	faults  Faults
	limiter *limiter

	closing  chan struct{}
	closed   sync.Once
	listen   sync.Once
	listener *memnet.Listener
	inner    *http.Server
	served   chan struct{}
}

var _ http.Handler = (*Server)(nil)

// New returns a server; outages that start after a duration count from now.
// Faults that make no sense are named in the error.
func New(config Config) (*Server, error) {
	faults := DefaultFaults()
	if config.Faults != nil {
		faults = *config.Faults
	}
	if err := faults.Validate(); err != nil {
		return nil, fmt.Errorf("simulated: %w", err)
	}
	if config.KeptCalls < 0 {
		return nil, errors.New("simulated: KeptCalls must not be negative")
	}
	if config.KeptCalls == 0 {
		config.KeptCalls = 10_000
	}
	s := &Server{
		seed:     config.Seed,
		started:  time.Now(),
		log:      newCallLog(config.KeptCalls),
		fates:    newFates(),
		faults:   faults.clone(),
		limiter:  newLimiter(faults),
		closing:  make(chan struct{}),
		listener: memnet.Listen(),
		served:   make(chan struct{}),
	}
	s.routes()
	return s, nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

var openAIConfig = openai.Config{
	BaseURL:   "http://simulated/v1",
	Endpoints: []string{providers.ChatCompletions, providers.Embeddings, providers.Responses},
}

// Endpoints are those that what Provider returns has.
func Endpoints() []string { return slices.Clone(openAIConfig.Endpoints) }

// Check is the [providers.Check] of what Provider returns.
func Check(endpoint string, body json.RawMessage) error { return openAIConfig.Check(endpoint, body) }

// Provider returns a provider that calls the server over memory alone. Its
// behaviour is openai's in every respect but for the missing network, and
// [openai.Provider.Close] does for it what it does there.
func (s *Server) Provider() *openai.Provider {
	config := openAIConfig
	config.DialContext = s.dial
	provider, err := openai.New(config)
	if err != nil {
		panic(err) // the configuration above is a constant
	}
	return provider
}

// Anthropic returns a provider that calls the server over memory alone, in the
// format of Messages.
func (s *Server) Anthropic() *anthropic.Provider {
	provider, err := anthropic.New(anthropic.Config{BaseURL: "http://simulated/v1", DialContext: s.dial})
	if err != nil {
		panic(err) // the configuration above is a constant
	}
	return provider
}

// Gemini returns a provider that calls the server over memory alone, in the
// format of generateContent.
func (s *Server) Gemini() *gemini.Provider {
	provider, err := gemini.New(gemini.Config{BaseURL: "http://simulated/v1beta", DialContext: s.dial})
	if err != nil {
		panic(err) // the configuration above is a constant
	}
	return provider
}

// RoundTripper returns a transport that takes every request to the server,
// whatever host it names, over memory alone.
func (s *Server) RoundTripper() http.RoundTripper {
	return &http.Transport{DialContext: s.dial, MaxIdleConnsPerHost: 100}
}

// Close ends what is under way and closes the connections over memory. It
// always returns nil.
func (s *Server) Close() error {
	s.closed.Do(func() { close(s.closing) })
	_ = s.listener.Close()
	s.listen.Do(func() { close(s.served) })
	if s.inner != nil {
		_ = s.inner.Close()
	}
	<-s.served
	return nil
}
