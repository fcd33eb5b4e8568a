// Package openai calls any server that speaks OpenAI's chat completions,
// embeddings or Responses: OpenAI itself, vLLM, Ollama, LM Studio, Mistral, Groq,
// DeepSeek, a gateway. Bodies pass through as raw JSON, so fields this package
// has never heard of reach the server and come back. Refused is of Responses alone
// what needs something to be kept at the server: see [Config.Check].
package openai

import (
	"context"
	"fmt"
	"strings"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// Provider calls one server. It is safe for use by many goroutines.
type Provider struct {
	config Config
	client *transport.Client
}

var (
	_ providers.Provider = (*Provider)(nil)
	_ fmt.Formatter      = (*Provider)(nil)
)

// New returns a provider for the server config names. It makes no connection.
// A field that makes no sense is named in the error; secrets never are.
func New(config Config) (*Provider, error) {
	if err := checkEndpoints(config.Endpoints); err != nil {
		return nil, fmt.Errorf("openai: %w", err)
	}
	client, err := transport.New(config.transport())
	if err != nil {
		return nil, fmt.Errorf("openai: %w", err)
	}
	// fmt finds what is in unexported fields and calls no methods of it: from
	// here on the secrets are in the client's closures alone.
	config.APIKey, config.Headers = "", nil
	return &Provider{config: config, client: client}, nil
}

// Close closes idle connections. Calls under way go on, and later calls work.
// It always returns nil.
func (p *Provider) Close() error {
	p.client.Close()
	return nil
}

// Call implements [providers.Provider].
//
// A chat completion is asked for as a stream and put together again; onChunk
// gets each chunk object but not the terminal event. If the server answers
// with a whole body all the same, that is the answer, and onChunk is not told.
// Embeddings are never streamed.
//
// Of Responses onChunk gets every event of a stream that tells of the answer,
// with its type, and Body is the response that the terminal event brings. Nothing
// is stored at the server.
//
// The time to first token ends at the first chunk that carries something of
// the answer. A chunk that only opens it (a role, an empty string) does not
// count, and neither do comments that keep the connection alive; from the
// first token on, each chunk of any kind restarts the stall clock. The stall
// clock rests while onChunk runs.
func (p *Provider) Call(
	ctx context.Context, req providers.Request, onChunk func(providers.Chunk),
) (providers.Response, error) {
	body, err := p.requestBody(req)
	if err != nil {
		return providers.Response{}, err
	}
	exchange := &transport.Exchange{
		Model:          req.Model,
		Path:           strings.TrimPrefix(req.Endpoint, "/v1"),
		Body:           body,
		IdempotencyKey: req.IdempotencyKey,
		Timeouts:       req.Timeouts,
		Refused:        statusError,
		Whole:          func(body []byte) (transport.Answer, error) { return readWhole(req, body) },
	}
	if req.Endpoint == providers.Responses {
		exchange.Whole = readResponse
	}
	switch {
	case !p.streams(req):
	case req.Endpoint == providers.Responses:
		exchange.Stream = readResponseStream
	default:
		exchange.Stream = p.streamed
	}
	return p.client.Call(ctx, exchange, onChunk)
}

// String names the server, without its secrets.
func (p *Provider) String() string { return "openai provider at " + p.client.Base() }

// Format writes String for every verb, so that no verb prints a secret.
func (p *Provider) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(p.String())) }
