package anthropic

import (
	"context"
	"errors"
	"net"

	"github.com/penstock-dev/penstock/providers/internal/transport"
	"github.com/penstock-dev/penstock/providers/keyring"
)

// Config says which server to speak to and how. The zero value is Anthropic
// itself without a key.
type Config struct {
	// BaseURL is what /messages hangs under, with its version. Default:
	// DefaultBaseURL. User info, query and fragment are refused.
	BaseURL string
	// URL says for each call where it goes, with {model} and {endpoint} in it: see
	// [address.Parse]. It wins over BaseURL.
	URL string
	// APIKey is sent as x-api-key. Empty sends no such header.
	APIKey Secret
	// Keys are several keys, or keys in files, instead of APIKey.
	Keys *keyring.Ring
	// KeyHeader is another header to send the key in, behind KeyScheme if that is
	// not empty: "api-key" with Azure.
	KeyHeader, KeyScheme string
	// Version is sent as anthropic-version. Default: DefaultVersion.
	Version string
	// Headers go with every call and win over the package's own, such as
	// "anthropic-beta", or "Authorization" where a server wants the key there.
	Headers map[string]Secret
	// UserAgent names this program to the server. Default: "penstock".
	UserAgent string

	// MaxTokens is the bound of an answer whose request names none: Messages
	// requires one. An answer that reaches it has finish reason "length".
	// Default: DefaultMaxTokens, which every model since Claude 3.5 can write.
	MaxTokens int64
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

// Defaults of [Config].
const (
	DefaultBaseURL   = "https://api.anthropic.com/v1"
	DefaultVersion   = "2023-06-01"
	DefaultMaxTokens = 8192
)

// Secret is a string that prints as "[secret]" or, empty, as nothing, however
// it is printed, logged or marshalled. Convert it to string to use it.
type Secret = transport.Secret

// withDefaults fills what is zero and names the field that makes no sense. What
// the transport has defaults and bounds for is left to it.
func (c Config) withDefaults() (Config, error) {
	c.Version = transport.OrDefault(c.Version, DefaultVersion)
	c.MaxTokens = transport.OrDefault(c.MaxTokens, DefaultMaxTokens)
	switch {
	case c.MaxTokens < 0:
		return c, errors.New("MaxTokens must not be negative")
	case !transport.ValidHeaderValue(c.Version):
		return c, errors.New("no header can carry a character of Version")
	}
	return c, nil
}

func (c Config) transport() transport.Config {
	return transport.Config{
		BaseURL: transport.OrDefault(c.BaseURL, DefaultBaseURL), URL: c.URL,
		APIKey: c.APIKey, Keys: c.Keys, KeyHeader: "X-Api-Key",
		Headers: c.Headers, UserAgent: c.UserAgent,
		MaxAnswerBytes: c.MaxAnswerBytes, MaxEventBytes: c.MaxEventBytes, MaxIdleConns: c.MaxIdleConns,
		ProxyFromEnvironment: c.ProxyFromEnvironment, DialContext: c.DialContext,
	}.SendKeyAs(c.KeyHeader, c.KeyScheme)
}
