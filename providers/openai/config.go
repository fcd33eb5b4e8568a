package openai

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Config says which server to speak to and how. The zero value is OpenAI
// itself without a key.
type Config struct {
	// BaseURL is what the endpoints hang under, with its version:
	// "http://127.0.0.1:11434/v1". Default: DefaultBaseURL. User info, query
	// and fragment are refused.
	BaseURL string
	// APIKey is sent as bearer token. Empty sends no Authorization header.
	APIKey Secret
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
	DefaultUserAgent = "penstock"

	defaultMaxAnswerBytes = 32 << 20
	defaultMaxEventBytes  = 8 << 20
	defaultMaxIdleConns   = 100
)

// withDefaults fills what is zero and names the field that makes no sense.
func (c Config) withDefaults() (Config, *url.URL, error) {
	c.BaseURL = orDefault(c.BaseURL, DefaultBaseURL)
	c.UserAgent = orDefault(c.UserAgent, DefaultUserAgent)
	c.MaxAnswerBytes = orDefault(c.MaxAnswerBytes, defaultMaxAnswerBytes)
	c.MaxEventBytes = orDefault(c.MaxEventBytes, defaultMaxEventBytes)
	c.MaxIdleConns = orDefault(c.MaxIdleConns, defaultMaxIdleConns)
	switch {
	case c.MaxAnswerBytes < 0:
		return c, nil, errors.New("MaxAnswerBytes must not be negative")
	case c.MaxEventBytes < 0:
		return c, nil, errors.New("MaxEventBytes must not be negative")
	case c.MaxIdleConns < 0:
		return c, nil, errors.New("MaxIdleConns must not be negative")
	case !validHeaderValue(string(c.APIKey)):
		return c, nil, errors.New("APIKey contains a character no header can carry, such as a line break")
	case !validHeaderValue(c.UserAgent):
		return c, nil, errors.New("UserAgent contains a character no header can carry")
	}
	for name, value := range c.Headers {
		if !validHeaderName(name) {
			return c, nil, fmt.Errorf("in Headers, %q is not a header name", name)
		}
		if !validHeaderValue(string(value)) {
			return c, nil, fmt.Errorf("in Headers, the value of %q contains a character no header can carry", name)
		}
	}
	base, err := parseBaseURL(c.BaseURL)
	return c, base, err
}

// parseBaseURL never quotes what it refuses: it may hold a password.
func parseBaseURL(raw string) (*url.URL, error) {
	base, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("BaseURL is not a URL")
	case base.Scheme != "http" && base.Scheme != "https":
		return nil, errors.New("BaseURL must begin with http:// or https://")
	case base.Host == "":
		return nil, errors.New("BaseURL names no host")
	case base.User != nil:
		return nil, errors.New("BaseURL must not carry a user or password: use APIKey or Headers")
	case base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("BaseURL must not carry a query or fragment")
	}
	return base, nil
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// validHeaderName says whether s is a token of RFC 9110, section 5.6.2.
func validHeaderName(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		letterOrDigit := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letterOrDigit && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}) < 0
}

func validHeaderValue(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) < 0
}
