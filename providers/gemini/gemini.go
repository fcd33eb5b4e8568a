// Package gemini calls servers that speak Gemini's generateContent: it
// translates chat completions to it and its answers back. What Gemini cannot
// say is refused before any call, with the name of the field; nothing is
// dropped, and nothing is bent to fit. Sources: the protocol definition
// google.ai.generativelanguage.v1beta, the API reference, and the official Go
// SDK, version 1.77.
package gemini

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
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
	_ providers.Check    = Check
)

// New returns a provider for the server config names. It makes no connection.
// A field that makes no sense is named in the error; secrets never are.
func New(config Config) (*Provider, error) {
	client, err := transport.New(config.transport())
	if err != nil {
		return nil, fmt.Errorf("gemini: %w", err)
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

// Call implements [providers.Provider] for chat completions.
//
// The answer is asked for as a stream. Body is the chat completion it comes to,
// and onChunk gets its chunks: for each choice one that names the role, then one
// for each piece of text and each tool call; at the end one for each finish
// reason, and one with the usage. If the server answers with a whole body all
// the same, onChunk is not told. Gemini has no idempotency key: none is sent.
//
// A stream of Gemini's has no terminal event: it is whole when it ends and each
// choice asked for has its finish reason.
//
// What the model thinks is not part of a chat completion. It is counted as
// reasoning tokens, and it keeps the clocks: its first piece is the first
// token, and each event restarts the stall clock from then on.
func (p *Provider) Call(
	ctx context.Context, req providers.Request, onChunk func(providers.Chunk),
) (providers.Response, error) {
	if !json.Valid(req.Body) {
		return providers.Response{}, &providers.Error{
			Class: providers.BadRequest, Message: "the request's body is not a JSON object",
		}
	}
	asked, err := translate(req.Endpoint, req.Body)
	if unsupported, ok := errors.AsType[*providers.UnsupportedError](err); ok {
		return providers.Response{}, unsupported.Refuse()
	}
	if err != nil {
		return providers.Response{}, err
	}
	exchange, err := p.exchange(transport.OrDefault(req.Model, asked.model), asked)
	if err != nil {
		return providers.Response{}, err
	}
	exchange.Timeouts = req.Timeouts
	return p.client.Call(ctx, exchange, onChunk)
}

// exchange is asked in the words of Gemini.
func (p *Provider) exchange(model string, asked *request) (*transport.Exchange, error) {
	if model == "" {
		return nil, &providers.Error{Class: providers.BadRequest, Message: "the request names no model"}
	}
	body, err := asked.encode()
	if err != nil {
		return nil, err
	}
	exchange := &transport.Exchange{
		Model:   model,
		Path:    "/" + resource(model) + ":generateContent",
		Body:    body,
		Refused: statusError,
		Whole:   func(body []byte) (transport.Answer, error) { return readWhole(body, asked.choices) },
	}
	if !p.config.NoStreaming {
		exchange.Path, exchange.Query = "/"+resource(model)+":streamGenerateContent", "alt=sse"
		exchange.Stream = func(events *transport.Events, tell transport.Tell) (transport.Answer, error) {
			return readStream(events, tell, asked.choices)
		}
	}
	return exchange, nil
}

// resource is the path of a model: models/x, unless the name says which kind of
// model it is of those that Gemini has.
func resource(model string) string {
	for _, kind := range []string{"models/", "tunedModels/"} {
		if name, ok := strings.CutPrefix(model, kind); ok {
			return kind + url.PathEscape(name)
		}
	}
	return "models/" + url.PathEscape(model)
}

// Check is a [providers.Check]: it tells whether Gemini can carry the request.
func Check(endpoint string, body json.RawMessage) error {
	_, err := translate(endpoint, body)
	return err
}

// String names the server, without its secrets.
func (p *Provider) String() string { return "gemini provider at " + p.client.Base() }

// Format writes String for every verb, so that no verb prints a secret.
func (p *Provider) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(p.String())) }
