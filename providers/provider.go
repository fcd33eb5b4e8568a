// Package providers says what Penstock needs of a model provider: one call,
// one answer, one taxonomy of what can go wrong. Each wire format is a
// package below this one.
package providers

import (
	"cmp"
	"context"
	"encoding/json"
	"time"
)

// Endpoints a request can be made for: the path of the API whose body it
// carries, OpenAI's but for Messages, which is Anthropic's.
const (
	ChatCompletions = "/v1/chat/completions"
	Embeddings      = "/v1/embeddings"
	Responses       = "/v1/responses"
	Messages        = "/v1/messages"
)

// Provider makes calls in one wire format against one base URL. It is safe
// for use by many goroutines.
type Provider interface {
	// Call sends req and reads the answer to its end. The answer is whole or
	// there is an *[Error]: a stream without its terminal event, an answer
	// without a finish reason, an empty or malformed body is an error, with
	// what arrived in its Usage and Partial.
	//
	// onChunk, if not nil, is told of each piece of the answer as it arrives,
	// from the calling goroutine, in order. The first with a token is the first
	// token.
	//
	// When ctx ends first the error has class [Cancelled].
	Call(ctx context.Context, req Request, onChunk func(Chunk)) (Response, error)
}

// Request is one call to make.
type Request struct {
	// Endpoint is one of the constants of this package.
	Endpoint string
	// Model is the provider's own name of the model; it replaces the body's.
	Model string
	// Body is the endpoint's body as JSON object. Unknown fields are passed on.
	Body json.RawMessage
	// IdempotencyKey is sent where the provider has such a thing.
	IdempotencyKey string
	// Timeouts bound the call. A zero field means no bound of that kind.
	Timeouts Timeouts
}

// Timeouts bound a call in four ways. Zero means unbounded.
type Timeouts struct {
	// Connect bounds the time until a connection is ready to carry the request.
	Connect time.Duration
	// FirstToken bounds the time from sending until the first token.
	FirstToken time.Duration
	// Stall bounds the time between two pieces of the answer.
	Stall time.Duration
	// Total bounds the whole call.
	Total time.Duration
}

// Or returns t with other's fields in the place of those that are zero.
func (t Timeouts) Or(other Timeouts) Timeouts {
	return Timeouts{
		Connect: cmp.Or(t.Connect, other.Connect), FirstToken: cmp.Or(t.FirstToken, other.FirstToken),
		Stall: cmp.Or(t.Stall, other.Stall), Total: cmp.Or(t.Total, other.Total),
	}
}

// Chunk is a piece of an answer under way: a JSON object in the streaming form
// of the endpoint, or of chat completions where the request is translated.
type Chunk struct {
	// Data is nil for a piece that the form has no words for, such as a thought.
	Data json.RawMessage
	// Token says that the piece has something of the answer: of its text, a tool
	// call or a thought. A role, or word that the answer has begun, is none.
	Token bool
}

// Response is a whole answer.
type Response struct {
	// Body is the endpoint's own non-streaming body.
	Body json.RawMessage
	// Model is what the provider says answered; it may differ from the request's.
	Model string
	// Fingerprint is the provider's word for the exact system that answered;
	// empty if it gave none.
	Fingerprint string
	// FinishReason is the first choice's; empty for embeddings. It is in the words
	// of chat completions whatever the endpoint: stop, length, tool_calls.
	FinishReason string
	Usage        Usage
	// HTTPStatus is the provider's, such as 200.
	HTTPStatus int
	// TimeToFirstToken is the time from sending until the first token: see [Chunk].
	TimeToFirstToken time.Duration
	// RequestID is the provider's name for the call; empty if it gave none.
	RequestID string
	// Quota is what the answer told of the provider's limits.
	Quota Quota
}

// Usage counts tokens as the provider reported them. Known is false when it
// reported none, and then the counts mean nothing.
type Usage struct {
	Known           bool
	InputTokens     int64
	OutputTokens    int64
	CachedTokens    int64
	ReasoningTokens int64
}
