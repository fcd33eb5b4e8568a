// Package gemini calls servers that speak Gemini's generateContent and
// batchEmbedContents: it translates chat completions and embeddings to them and
// their answers back. What Gemini cannot say is refused before any call, with the
// name of the field; nothing is dropped, and nothing is bent to fit.
//
// Of a chat completion that is: logit_bias, prediction, web_search_options, audio
// and other modalities, verbosity but medium, store, metadata, user,
// safety_identifier, what concerns a cache, more than eight choices or five stop
// sequences, parallel_tool_calls: false, tools that are no functions, system
// messages behind others, a last message of the assistant's, names of speakers,
// ids and names of files, the detail of an image, images in results of tools, and
// whatever is not known. Of embeddings: tokens as input, more than 100 texts, user.
//
// Sources: the protocol definition google.ai.generativelanguage.v1beta, the API
// reference, and the official Go SDK, version 1.77.
package gemini

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/field"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// formatName is how refusals call the format.
const formatName = "Gemini"

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

// Endpoints are those that this package serves.
func Endpoints() []string { return []string{providers.ChatCompletions, providers.Embeddings} }

// Call implements [providers.Provider] for chat completions and embeddings. What
// follows is of chat completions.
//
// The answer is asked for as a stream. Body is the chat completion it comes to,
// and onChunk gets its chunks: for each choice one that names the role, then one
// for each piece of text and each tool call; at the end one for each finish
// reason, and one with the usage. If the server answers with a whole body all
// the same, onChunk is not told. Gemini has no idempotency key: none is sent.
//
// A stream of Gemini's has no terminal event: it is whole when it ends and each
// choice asked for has its finish reason. An answer with logprobs is asked for
// whole, since it is not said how a stream tells them.
//
// What the model thinks is not part of a chat completion. It is counted as
// reasoning tokens, and it keeps the clocks: its first piece is the first
// token, and each event restarts the stall clock from then on.
//
// Tool calls of another provider's model, which have no thought signature, are
// marked as such for models that insist on one.
func (p *Provider) Call(
	ctx context.Context, req providers.Request, onChunk func(providers.Chunk),
) (providers.Response, error) {
	if !json.Valid(req.Body) {
		return providers.Response{}, &providers.Error{
			Class: providers.BadRequest, Message: "the request's body is not a JSON object",
		}
	}
	exchange, err := p.exchange(req)
	if unsupported, ok := errors.AsType[*providers.UnsupportedError](err); ok {
		return providers.Response{}, unsupported.Refuse()
	}
	if err != nil {
		return providers.Response{}, err
	}
	return p.client.Call(ctx, exchange, onChunk)
}

// exchange is req in the words of Gemini.
func (p *Provider) exchange(req providers.Request) (*transport.Exchange, error) {
	if err := checkEndpoint(req.Endpoint); err != nil {
		return nil, err
	}
	if req.Endpoint == providers.Embeddings {
		return embedding(req)
	}
	asked, err := translate(req.Body)
	if err != nil {
		return nil, err
	}
	model := transport.OrDefault(req.Model, asked.model)
	asked.markForeign(model)
	exchange, err := newExchange(req, model, "generateContent", asked)
	if err != nil {
		return nil, err
	}
	exchange.Whole = func(body []byte) (transport.Answer, error) { return readWhole(body, asked.choices) }
	if !p.config.NoStreaming && !asked.Generation.ResponseLogprobs {
		exchange.Path, exchange.Query = "/"+resource(model)+":streamGenerateContent", "alt=sse"
		exchange.Stream = func(events *transport.Events, tell transport.Tell) (transport.Answer, error) {
			return readStream(events, tell, asked.choices)
		}
	}
	return exchange, nil
}

// newExchange asks method of model, with asked as the body.
func newExchange(req providers.Request, model, method string, asked any) (*transport.Exchange, error) {
	if model == "" {
		return nil, &providers.Error{Class: providers.BadRequest, Message: "the request names no model"}
	}
	body, err := field.Encode(asked)
	if err != nil {
		return nil, err
	}
	return &transport.Exchange{
		Model: model, Path: "/" + resource(model) + ":" + method, Body: body, Timeouts: req.Timeouts, Refused: statusError,
	}, nil
}

// resource is the path of a model.
func resource(model string) string {
	kind, name, _ := strings.Cut(resourceName(model), "/")
	return kind + "/" + url.PathEscape(name)
}

// resourceName is models/x, unless the name says which kind of model it is of
// those that Gemini has.
func resourceName(model string) string {
	if strings.HasPrefix(model, "models/") || strings.HasPrefix(model, "tunedModels/") {
		return model
	}
	return "models/" + model
}

// Check is a [providers.Check]: it tells whether Gemini can carry the request.
func Check(endpoint string, body json.RawMessage) error {
	err := checkEndpoint(endpoint)
	switch {
	case err != nil:
	case endpoint == providers.Embeddings:
		_, err = translateEmbeddings(body)
	default:
		_, err = translate(body)
	}
	return err
}

func checkEndpoint(endpoint string) error {
	if !slices.Contains(Endpoints(), endpoint) {
		return &providers.UnsupportedError{Reason: "Gemini has no such endpoint: it serves " + strings.Join(Endpoints(), " and ")}
	}
	return nil
}

// String names the server, without its secrets.
func (p *Provider) String() string { return "gemini provider at " + p.client.Base() }

// Format writes String for every verb, so that no verb prints a secret.
func (p *Provider) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(p.String())) }
