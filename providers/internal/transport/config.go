package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Config says which server to call and how. BaseURL and KeyHeader are
// required.
type Config struct {
	// BaseURL is what the paths of calls hang under. User info, query and
	// fragment are refused.
	BaseURL string
	// APIKey is sent in KeyHeader behind KeyPrefix. Empty sends no such header.
	APIKey               Secret
	KeyHeader, KeyPrefix string
	// Headers go with every call and win over all others.
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

	// ProxyFromEnvironment obeys HTTP_PROXY and its relatives.
	ProxyFromEnvironment bool
	// DialContext makes connections. Default: a net.Dialer's.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Defaults of [Config].
const (
	DefaultUserAgent = "penstock"

	defaultMaxAnswerBytes = 32 << 20
	defaultMaxEventBytes  = 8 << 20
	defaultMaxIdleConns   = 100
)

// withDefaults fills what is zero and names the field that makes no sense.
func (c Config) withDefaults() (Config, *url.URL, error) {
	c.UserAgent = OrDefault(c.UserAgent, DefaultUserAgent)
	c.MaxAnswerBytes = OrDefault(c.MaxAnswerBytes, defaultMaxAnswerBytes)
	c.MaxEventBytes = OrDefault(c.MaxEventBytes, defaultMaxEventBytes)
	c.MaxIdleConns = OrDefault(c.MaxIdleConns, defaultMaxIdleConns)
	switch {
	case c.MaxAnswerBytes < 0:
		return c, nil, errors.New("MaxAnswerBytes must not be negative")
	case c.MaxEventBytes < 0:
		return c, nil, errors.New("MaxEventBytes must not be negative")
	case c.MaxIdleConns < 0:
		return c, nil, errors.New("MaxIdleConns must not be negative")
	case !ValidHeaderValue(string(c.APIKey)):
		return c, nil, errors.New("APIKey contains a character no header can carry, such as a line break")
	case !ValidHeaderValue(c.UserAgent):
		return c, nil, errors.New("UserAgent contains a character no header can carry")
	}
	for name, value := range c.Headers {
		if !validHeaderName(name) {
			return c, nil, fmt.Errorf("in Headers, %q is not a header name", name)
		}
		if !ValidHeaderValue(string(value)) {
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

// OrDefault returns value, or otherwise when value is zero.
func OrDefault[T comparable](value, otherwise T) T {
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
