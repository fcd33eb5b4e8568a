package openai

import (
	"context"
	"net"

	"github.com/penstock-dev/penstock/providers/internal/transport"
	"github.com/penstock-dev/penstock/providers/keyring"
)

// Config says which server to speak to and how. The zero value is OpenAI
// itself without a key.
type Config struct {
	// BaseURL is what the endpoints hang under, with its version:
	// "http://127.0.0.1:11434/v1". Default: DefaultBaseURL. User info, query
	// and fragment are refused.
	BaseURL string
	// URL says for each call where it goes, with {model} and {endpoint} in it: see
	// [address.Parse]. It wins over BaseURL.
	URL string
	// APIKey is sent as bearer token. Empty sends no Authorization header.
	APIKey Secret
	// Keys are several keys, or keys in files, instead of APIKey.
	Keys *keyring.Ring
	// KeyHeader is another header to send the key in, behind KeyScheme if that is
	// not empty: "api-key" with Azure.
	KeyHeader, KeyScheme string
	// Headers go with every call and win over the package's own, such as
	// "OpenAI-Organization", or "api-key" where a server wants the key there.
	Headers map[string]Secret
	// UserAgent names this program to the server. Default: DefaultUserAgent.
	UserAgent string

	// MaxAnswerBytes bounds an answer's body as it is read, after
	// decompression. More is a malformed answer. Default: 32 MiB.
	MaxAnswerBytes int64
	// MaxEventBytes bounds one line and one event of a streamed answer.
	// More is a malformed answer. Default: 8 MiB.
	MaxEventBytes int
	// MaxIdleConns is how many idle connections are kept. Default: 100.
	MaxIdleConns int

	// Endpoints are those the server has. Default: chat completions and
	// embeddings, and Responses if BaseURL is OpenAI itself: most others have none.
	// Messages is not among what can be named: that is package anthropic.
	Endpoints []string
	// NoStreaming asks for whole answers, for servers that cannot stream. The
	// first piece of such an answer is the first byte of its body, so a
	// first-token timeout then bounds the whole generation.
	NoStreaming bool
	// NoStreamOptions leaves out stream_options.include_usage, for servers
	// that refuse it. Usage is then known only if the server volunteers it.
	NoStreamOptions bool
	// NoDoneEvent accepts a stream that ends cleanly without "data: [DONE]"
	// once every choice has its finish reason. By default such a stream is
	// truncated: [DONE] is the format's terminal event, and a proxy that dies
	// behind the last choice looks the same as an end, with usage still to
	// come. Set it only for a server known to leave the event out.
	NoDoneEvent bool

	// ProxyFromEnvironment obeys HTTP_PROXY and its relatives. Off by default,
	// so that a key never goes through a proxy nobody chose for it, and a
	// server on this machine is never looked for behind one.
	ProxyFromEnvironment bool
	// DialContext makes connections. Default: a net.Dialer's.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Defaults of [Config].
const (
	DefaultBaseURL   = "https://api.openai.com/v1"
	DefaultUserAgent = transport.DefaultUserAgent
)

// Secret is a string that prints as "[secret]" or, empty, as nothing, however
// it is printed, logged or marshalled. Convert it to string to use it.
type Secret = transport.Secret

func (c Config) transport() transport.Config {
	return transport.Config{
		BaseURL: transport.OrDefault(c.BaseURL, DefaultBaseURL), URL: c.URL,
		APIKey: c.APIKey, Keys: c.Keys, KeyHeader: "Authorization", KeyPrefix: "Bearer ",
		Headers: c.Headers, UserAgent: c.UserAgent,
		MaxAnswerBytes: c.MaxAnswerBytes, MaxEventBytes: c.MaxEventBytes, MaxIdleConns: c.MaxIdleConns,
		ProxyFromEnvironment: c.ProxyFromEnvironment, DialContext: c.DialContext,
	}.SendKeyAs(c.KeyHeader, c.KeyScheme)
}
