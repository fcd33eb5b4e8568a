// Package anthropic calls servers that speak Anthropic's Messages. Requests to
// Messages go through raw; chat completions are translated to it and its answers
// back. What Messages cannot say is refused before any call, with the name of the
// field; nothing is dropped, and nothing is bent to fit.
//
// Of a chat completion that is: n above one, logprobs, seed, logit_bias, penalties,
// prediction, web_search_options, audio and other modalities, verbosity but medium,
// store, metadata, prompt_cache_key and its relatives, a temperature above one,
// json_object, reasoning_effort minimal, tools that are no functions, allowed
// tools, system messages in places that Messages has none for, a last message of
// the assistant's, names of speakers, sounds, files that are no PDF or come by
// their id, the detail low of an image, and whatever is not known. Embeddings are
// refused as a whole.
//
// Sources: the API reference and the official Go SDK, version 1.84.
package anthropic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/field"
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
	config, err := config.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("anthropic: %w", err)
	}
	client, err := transport.New(config.transport())
	if err != nil {
		return nil, fmt.Errorf("anthropic: %w", err)
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

// Call implements [providers.Provider] for chat completions and Messages. Of
// Messages onChunk gets the events, but for pings, and Body is the message they
// come to. What follows is of chat completions.
//
// The answer is asked for as a stream. Body is the chat completion it comes to,
// and onChunk gets its chunks: one that names the role, one for each piece of
// text and of a tool call's arguments, one with the finish reason, one with the
// usage. If the server answers with a whole body all the same, onChunk is not
// told. Messages has no idempotency key: none is sent.
//
// What the model thinks is not part of a chat completion. It is counted as
// reasoning tokens, and it keeps the clocks: its first piece is the first
// token, and each event but a ping restarts the stall clock from then on.
func (p *Provider) Call(
	ctx context.Context, req providers.Request, onChunk func(providers.Chunk),
) (providers.Response, error) {
	body, err := p.requestBody(req)
	if err != nil {
		return providers.Response{}, err
	}
	exchange := &transport.Exchange{
		Model:    req.Model,
		Path:     "/messages",
		Header:   map[string]string{"Anthropic-Version": p.config.Version},
		Body:     body,
		Timeouts: req.Timeouts,
		Refused:  statusError,
		Whole:    readWhole,
	}
	native := req.Endpoint == providers.Messages
	if native {
		exchange.Whole = readNativeWhole
	}
	switch {
	case p.config.NoStreaming:
	case native:
		exchange.Stream = readNativeStream
	default:
		exchange.Stream = readStream
	}
	return p.client.Call(ctx, exchange, onChunk)
}

// requestBody is req as Messages says it.
func (p *Provider) requestBody(req providers.Request) ([]byte, error) {
	if req.Endpoint == providers.Messages {
		return p.nativeBody(req)
	}
	if !json.Valid(req.Body) {
		return nil, &providers.Error{Class: providers.BadRequest, Message: "the request's body is not a JSON object"}
	}
	out, err := translate(req.Endpoint, req.Body)
	if unsupported, ok := errors.AsType[*providers.UnsupportedError](err); ok {
		return nil, unsupported.Refuse()
	}
	if err != nil {
		return nil, err
	}
	out.Model, out.Stream = transport.OrDefault(req.Model, out.Model), !p.config.NoStreaming
	out.MaxTokens = transport.OrDefault(out.MaxTokens, p.config.MaxTokens)
	return field.Encode(out)
}

// Endpoints are those that this package serves.
func Endpoints() []string { return []string{providers.Messages, providers.ChatCompletions} }

// Check is a [providers.Check]: it tells whether Messages can carry the
// request. It carries all of its own.
func Check(endpoint string, body json.RawMessage) error {
	if endpoint == providers.Messages {
		return nil
	}
	_, err := translate(endpoint, body)
	return err
}

// String names the server, without its secrets.
func (p *Provider) String() string { return "anthropic provider at " + p.client.Base() }

// Format writes String for every verb, so that no verb prints a secret.
func (p *Provider) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(p.String())) }
