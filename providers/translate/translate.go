// Package translate serves Responses and Messages with a provider that has chat
// completions: it says the request as one for a chat completion, and the answer
// back. What a chat completion cannot say is refused before any call, with the
// name of the field in the caller's own words.
//
// Of Responses that is: what is kept at a server (previous_response_id,
// conversation, prompt, store, background, items by reference), include,
// top_logprobs, max_tool_calls, truncation auto, context_management, moderation,
// summaries of thoughts and thoughts as input, tools that are no functions, text
// behind a function call of the same turn. Of Messages: top_k, thinking unless it
// is disabled, cache_control, containers, MCP servers, tools of the provider's,
// thoughts, citations, files by their id, results of tools that are errors or
// stand behind other content, a last message of the assistant's. Of both: whatever
// is not known.
package translate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/bridge"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/messages"
	"github.com/penstock-dev/penstock/providers/internal/responses"
)

// Config says what is translated.
type Config struct {
	// Native are the endpoints that the provider has. Responses and Messages that
	// are not among them are translated if chat completions are.
	Native []string
	// NewLimit says max_completion_tokens for the bound of an answer, which newer
	// models of OpenAI insist on. Servers that came before it know max_tokens.
	NewLimit bool
}

// format is another format's way to a chat completion and back.
type format struct {
	toChat   func(json.RawMessage) (*bridge.Request, error)
	fromChat func(request json.RawMessage, c bridge.Completion) (json.RawMessage, error)
}

var formats = map[string]format{
	providers.Responses: {responses.ToChat, responses.FromChat},
	providers.Messages:  {messages.ToChat, messages.FromChat},
}

// format is how requests for endpoint are translated, if they are.
func (c Config) format(endpoint string) (format, bool) {
	f, ok := formats[endpoint]
	return f, ok && !slices.Contains(c.Native, endpoint) && slices.Contains(c.Native, providers.ChatCompletions)
}

func (c Config) limit() string {
	if c.NewLimit {
		return "max_completion_tokens"
	}
	return "max_tokens"
}

// Provider is a provider with more endpoints than its own. It is safe for use by
// many goroutines.
type Provider struct {
	config Config
	inner  providers.Provider
}

var (
	_ providers.Provider = (*Provider)(nil)
	_ fmt.Formatter      = (*Provider)(nil)
)

// New returns inner with more endpoints.
func New(inner providers.Provider, config Config) *Provider {
	return &Provider{config: config, inner: inner}
}

// Call implements [providers.Provider]. Of an answer that is translated onChunk
// gets the pieces of the chat completion, as they are.
func (p *Provider) Call(
	ctx context.Context, req providers.Request, onChunk func(providers.Chunk),
) (providers.Response, error) {
	format, ok := p.config.format(req.Endpoint)
	if !ok {
		return p.inner.Call(ctx, req, onChunk)
	}
	asked := req
	asked.Endpoint = providers.ChatCompletions
	body, origins, err := p.config.toChat(format, req.Body)
	if err != nil {
		return providers.Response{}, refused(err)
	}
	asked.Body = body
	got, err := p.inner.Call(ctx, asked, onChunk)
	if err != nil {
		return providers.Response{}, origins.Trace(err)
	}
	return fromChat(format, req.Body, got)
}

// toChat says body as a request for a chat completion.
func (c Config) toChat(f format, body json.RawMessage) (json.RawMessage, bridge.Origins, error) {
	if _, err := chat.ReadObject(body); err != nil {
		return nil, nil, &providers.Error{Class: providers.BadRequest, Message: "the request's body is not a JSON object"}
	}
	request, err := f.toChat(body)
	if err != nil {
		return nil, nil, err
	}
	return request.Encode(c.limit())
}

// refused is err as that of a call that was not made.
func refused(err error) error {
	if unsupported, ok := errors.AsType[*providers.UnsupportedError](err); ok {
		return unsupported.Refuse()
	}
	return err
}

// fromChat says the answer as one to request.
func fromChat(f format, request json.RawMessage, got providers.Response) (providers.Response, error) {
	completion, err := bridge.ReadCompletion(got)
	if err == nil {
		got.Body, err = f.fromChat(request, completion)
	}
	if failure, ok := errors.AsType[*providers.Error](err); ok {
		failure.HTTPStatus, failure.RequestID, failure.Usage = got.HTTPStatus, got.RequestID, got.Usage
		failure.TimeToFirstToken, failure.Partial = got.TimeToFirstToken, completion.Text
		return providers.Response{}, failure
	}
	return got, err
}

// String names the provider.
func (p *Provider) String() string { return fmt.Sprint(p.inner) }

// Format writes String for every verb, so that no verb prints a secret.
func (p *Provider) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(p.String())) }

// Check is the check of a provider that New made, of one whose own is inner. A
// provider without one carries everything.
func Check(inner providers.Check, config Config) providers.Check {
	if inner == nil {
		inner = func(string, json.RawMessage) error { return nil }
	}
	return func(endpoint string, body json.RawMessage) error {
		format, ok := config.format(endpoint)
		if !ok {
			return inner(endpoint, body)
		}
		translated, origins, err := config.toChat(format, body)
		if err != nil {
			return err
		}
		return origins.Trace(inner(providers.ChatCompletions, translated))
	}
}
