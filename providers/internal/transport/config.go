package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/keyring"
)

// Config says which server to call and how. KeyHeader, and BaseURL or URL, are
// required.
type Config struct {
	// BaseURL is what the paths of calls hang under. User info, query and
	// fragment are refused.
	BaseURL string
	// URL is instead a template that says for each call where it goes: see
	// [address.Parse]. It wins over BaseURL.
	URL string
	// APIKey is sent in KeyHeader behind KeyPrefix. Empty sends no such header.
	APIKey               Secret
	KeyHeader, KeyPrefix string
	// Keys are several instead of APIKey.
	Keys *keyring.Ring
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

// Secret is a string that does not print.
type Secret = providers.Secret

// Defaults of [Config].
const (
	DefaultUserAgent = "penstock"

	defaultMaxAnswerBytes = 32 << 20
	defaultMaxEventBytes  = 8 << 20
	defaultMaxIdleConns   = 100
)

// SendKeyAs sends the key in another header, behind a scheme such as Bearer
// unless that is empty. An empty header changes nothing.
func (c Config) SendKeyAs(header, scheme string) Config {
	if header == "" {
		return c
	}
	c.KeyHeader, c.KeyPrefix = header, ""
	if scheme != "" {
		c.KeyPrefix = scheme + " "
	}
	return c
}

// withDefaults fills what is zero and names the field that makes no sense.
func (c Config) withDefaults() (Config, error) {
	c.UserAgent = OrDefault(c.UserAgent, DefaultUserAgent)
	c.MaxAnswerBytes = OrDefault(c.MaxAnswerBytes, defaultMaxAnswerBytes)
	c.MaxEventBytes = OrDefault(c.MaxEventBytes, defaultMaxEventBytes)
	c.MaxIdleConns = OrDefault(c.MaxIdleConns, defaultMaxIdleConns)
	switch {
	case c.MaxAnswerBytes < 0:
		return c, errors.New("MaxAnswerBytes must not be negative")
	case c.MaxEventBytes < 0:
		return c, errors.New("MaxEventBytes must not be negative")
	case c.MaxIdleConns < 0:
		return c, errors.New("MaxIdleConns must not be negative")
	case c.Keys != nil && c.APIKey != "":
		return c, errors.New("expected APIKey or Keys, not both")
	case !validHeaderName(c.KeyHeader):
		return c, fmt.Errorf("KeyHeader: %q is not a header name", c.KeyHeader)
	case !ValidHeaderValue(c.KeyPrefix):
		return c, errors.New("KeyScheme contains a character no header can carry")
	case !ValidHeaderValue(c.UserAgent):
		return c, errors.New("UserAgent contains a character no header can carry")
	}
	var err error
	if c.Keys, err = c.ring(); err != nil {
		return c, err
	}
	for name, value := range c.Headers {
		if !validHeaderName(name) {
			return c, fmt.Errorf("in Headers, %q is not a header name", name)
		}
		if !ValidHeaderValue(string(value)) {
			return c, fmt.Errorf("in Headers, the value of %q contains a character no header can carry", name)
		}
	}
	return c, nil
}

// ring returns the keys, be they one or none.
func (c Config) ring() (*keyring.Ring, error) {
	switch {
	case c.Keys != nil:
		return c.Keys, nil
	case c.APIKey == "":
		return keyring.New(keyring.Config{})
	default:
		return keyring.New(keyring.Config{Keys: []keyring.Key{{Name: "APIKey", Value: c.APIKey}}})
	}
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
