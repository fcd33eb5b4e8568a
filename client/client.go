package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Client asks one Penstock. It is safe for use by many goroutines.
type Client struct {
	base    *url.URL
	http    *http.Client
	header  http.Header
	retries int
}

// Option changes what [New] makes.
type Option func(*Client)

// New returns a client of the API at baseURL, such as http://127.0.0.1:8080. Nothing is
// asked yet.
func New(baseURL string, options ...Option) (*Client, error) {
	base, err := url.Parse(baseURL)
	if err != nil {
		return nil, fmt.Errorf("client: base URL: %w", err)
	}
	if base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("client: base URL: must be http:// or https:// with a host, and no query")
	}
	base.Path = strings.TrimSuffix(base.Path, "/")
	c := &Client{base: base, http: &http.Client{Transport: transport()}, header: http.Header{}, retries: defaultRetries}
	for _, option := range options {
		option(c)
	}
	return c, nil
}

// transport keeps more connections to one host than net/http does by itself.
func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // net/http says so
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 100
	return t
}

// WithHTTPClient makes requests with h. A Timeout of h also ends long-polls and streams:
// better leave it zero and bound contexts.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithHeader sends a header with each request, such as Authorization for a gateway.
func WithHeader(name, value string) Option { return func(c *Client) { c.header.Set(name, value) } }

// WithTenant names whose requests these are, where the API believes it: see
// trust_tenant_header in Penstock's configuration.
func WithTenant(tenant string) Option { return WithHeader("Penstock-Tenant", tenant) }

// WithRetries says how often a request is repeated at most: 5 times unless said otherwise,
// zero is never.
func WithRetries(n int) Option { return func(c *Client) { c.retries = max(0, n) } }
