package openai

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// newClient returns a client of its own connections. No bound on time is set
// here but for keep-alive: a call's Timeouts are the only clock.
func newClient(config Config) *http.Client {
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
func headerSetter(config Config) func(http.Header) {
	return func(header http.Header) {
		header.Set("Content-Type", "application/json")
		header.Set("User-Agent", config.UserAgent)
		if config.APIKey != "" {
			header.Set("Authorization", "Bearer "+string(config.APIKey))
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
	add := func(secret Secret) {
		if len(secret) >= shortest {
			pairs = append(pairs, string(secret), secret.String())
		}
	}
	add(config.APIKey)
	for _, value := range config.Headers {
		add(value)
	}
	return strings.NewReplacer(pairs...).Replace
}

func (p *Provider) send(ctx context.Context, req providers.Request, body []byte) (*http.Response, error) {
	target := p.base.JoinPath(strings.TrimPrefix(req.Endpoint, "/v1"))
	out, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if p.streams(req) {
		out.Header.Set("Accept", "application/json, text/event-stream")
		out.Header.Set("Accept-Encoding", "identity") // compressing proxies hold events back
	} else {
		out.Header.Set("Accept", "application/json")
	}
	p.setHeader(out.Header)
	if req.IdempotencyKey != "" {
		// In canonical spelling net/http would take the header as leave to send
		// the request a second time, unseen, after a connection broke under it.
		// Whether to call again is the run's decision, under the next fence.
		out.Header["idempotency-key"] = []string{req.IdempotencyKey}
	}
	return p.client.Do(out)
}
