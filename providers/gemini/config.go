package gemini

import (
	"context"
	"net"

	"github.com/penstock-dev/penstock/providers/internal/transport"
	"github.com/penstock-dev/penstock/providers/keyring"
)

// Config says which server to speak to and how. The zero value is Google's
// Gemini API without a key.
type Config struct {
	// BaseURL is what models/ hangs under, with its version. Default:
	// DefaultBaseURL. User info, query and fragment are refused.
	BaseURL string
	// URL says for each call where it goes, with {model} and {endpoint} in it: see
	// [address.Parse]. It wins over BaseURL.
	URL string
	// APIKey is sent as x-goog-api-key, never in the URL. Empty sends no such
	// header.
	APIKey Secret
	// Keys are several keys, or keys in files, instead of APIKey.
	Keys *keyring.Ring
	// KeyHeader is another header to send the key in, behind KeyScheme if that is
	// not empty: "Authorization" and "Bearer" with Vertex AI.
	KeyHeader, KeyScheme string
	// Headers go with every call and win over the package's own, such as
	// "x-goog-user-project".
	Headers map[string]Secret
	// UserAgent names this program to the server. Default: "penstock".
	UserAgent string

	// NoStreaming asks for whole answers. The first piece of such an answer is
	// the first byte of its body, so a first-token timeout then bounds the whole
	// generation.
	NoStreaming bool

	// MaxAnswerBytes bounds an answer's body as it is read, after
	// decompression. More is a malformed answer. Default: 32 MiB.
	MaxAnswerBytes int64
	// MaxEventBytes bounds one line and one event of a streamed answer.
	// More is a malformed answer. Default: 8 MiB.
	MaxEventBytes int
	// MaxIdleConns is how many idle connections are kept. Default: 100.
	MaxIdleConns int

	// ProxyFromEnvironment obeys HTTP_PROXY and its relatives. Off by default,
	// so that a key never goes through a proxy nobody chose for it.
	ProxyFromEnvironment bool
	// DialContext makes connections. Default: a net.Dialer's.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

// DefaultBaseURL is Google's own.
const DefaultBaseURL = "https://generativelanguage.googleapis.com/v1beta"

// Secret is a string that prints as "[secret]" or, empty, as nothing, however
// it is printed, logged or marshalled. Convert it to string to use it.
type Secret = transport.Secret

func (c Config) transport() transport.Config {
	return transport.Config{
		BaseURL: transport.OrDefault(c.BaseURL, DefaultBaseURL), URL: c.URL,
		APIKey: c.APIKey, Keys: c.Keys, KeyHeader: "X-Goog-Api-Key",
		Headers: c.Headers, UserAgent: c.UserAgent,
		MaxAnswerBytes: c.MaxAnswerBytes, MaxEventBytes: c.MaxEventBytes, MaxIdleConns: c.MaxIdleConns,
		ProxyFromEnvironment: c.ProxyFromEnvironment, DialContext: c.DialContext,
	}.SendKeyAs(c.KeyHeader, c.KeyScheme)
}
