// Package transport carries calls of any wire format over HTTP: connections,
// the four clocks of a call, server-sent events, secrets that do not print,
// and what keeps an answer from beginning or from being whole.
package transport

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/keyring"
)

// Client calls one server. It is safe for use by many goroutines. No verb of
// fmt finds a secret in it.
type Client struct {
	address   func(*Exchange) (string, error)
	base      string // the address as it may be printed
	http      *http.Client
	maxAnswer int64
	maxEvent  int
	keys      *keyring.Ring
	setHeader func(header http.Header, key string)
	scrub     func(string) string
}

// New returns a client for the server config names. It makes no connection. A
// field that makes no sense is named in the error; secrets never are.
func New(config Config) (*Client, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	address, base, err := addressOf(config)
	if err != nil {
		return nil, err
	}
	return &Client{
		address:   address,
		base:      base,
		http:      newHTTP(config),
		maxAnswer: config.MaxAnswerBytes,
		maxEvent:  config.MaxEventBytes,
		keys:      config.Keys,
		setHeader: headerSetter(config),
		scrub:     secretScrubber(config),
	}, nil
}

// Close closes idle connections. Calls under way go on, and later calls work.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Base names the server.
func (c *Client) Base() string { return c.base }

// newHTTP returns a client of its own connections. No bound on time is set
// here but for keep-alive: a call's Timeouts are the only clock.
func newHTTP(config Config) *http.Client {
	dial := config.DialContext
	if dial == nil {
		dial = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	}
	transport := &http.Transport{
		DialContext:            dial,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           config.MaxIdleConns,
		MaxIdleConnsPerHost:    config.MaxIdleConns,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		// A dead HTTP/2 connection would otherwise be given to call after call.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
	}
	if config.ProxyFromEnvironment {
		transport.Proxy = http.ProxyFromEnvironment
	}
	return &http.Client{
		Transport: transport,
		// A redirect would carry key and prompt to whoever it names.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// headerSetter keeps the secrets in a closure, where no verb of fmt finds them.
func headerSetter(config Config) func(http.Header, string) {
	return func(header http.Header, key string) {
		header.Set("Content-Type", "application/json")
		header.Set("User-Agent", config.UserAgent)
		if key != "" {
			header.Set(config.KeyHeader, config.KeyPrefix+key)
		}
		for name, value := range config.Headers {
			header.Set(name, string(value))
		}
	}
}

// secretScrubber takes the configured secrets out of what a server says: some
// quote the key they refuse. Values too short to be secrets are left alone.
func secretScrubber(config Config) func(string) string {
	const shortest = 6
	var pairs []string
	for _, value := range config.Headers {
		if len(value) >= shortest {
			pairs = append(pairs, string(value), value.String())
		}
	}
	headers := strings.NewReplacer(pairs...)
	return func(s string) string { return config.Keys.Scrub(headers.Replace(s)) }
}

// send sends the request of x with a key.
func (c *Client) send(ctx context.Context, x *Exchange, key string) (*http.Response, error) {
	target, err := c.address(x)
	if err != nil {
		return nil, err
	}
	out, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(x.Body))
	if err != nil {
		return nil, err
	}
	for name, value := range x.Header {
		out.Header.Set(name, value)
	}
	if x.Stream != nil {
		out.Header.Set("Accept", "application/json, text/event-stream")
		out.Header.Set("Accept-Encoding", "identity") // compressing proxies hold events back
	} else {
		out.Header.Set("Accept", "application/json")
	}
	c.setHeader(out.Header, key)
	if x.IdempotencyKey != "" {
		// In canonical spelling net/http would take the header as leave to send
		// the request a second time, unseen, after a connection broke under it.
		// Whether to call again is the run's decision, under the next fence.
		out.Header["idempotency-key"] = []string{x.IdempotencyKey}
	}
	return c.http.Do(out)
}

// ValidHeaderValue reports whether a header can carry s.
func ValidHeaderValue(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) < 0
}

// CheckIdempotencyKey refuses a key that no header can carry.
func CheckIdempotencyKey(key string) error {
	if !ValidHeaderValue(key) {
		return &providers.Error{Class: providers.BadRequest, Message: "no header can carry the idempotency key"}
	}
	return nil
}
