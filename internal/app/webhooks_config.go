package app

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/internal/httpapi"
	"github.com/penstock-dev/penstock/webhooks/courier"
	"github.com/penstock-dev/penstock/webhooks/delivery"
	"github.com/penstock-dev/penstock/webhooks/guard"
)

// WebhooksConfig is where webhooks may go beyond public addresses by https, and how many
// are on their way at once.
type WebhooksConfig struct {
	// AllowNetworks may be sent to although they are not public, such as 10.1.0.0/16.
	AllowNetworks []string `yaml:"allow_networks"`
	// AllowHTTP allows plain http.
	AllowHTTP bool `yaml:"allow_http"`
	// Proxy carries all requests: an http, https or socks5 URL. It must itself refuse
	// names of addresses that are not public.
	Proxy string `yaml:"proxy"`
	// Queues are how many attempts a process makes at once.
	Queues WebhookQueues `yaml:"queues"`
	// OperatorTenant is whose endpoints are told of lanes; empty: default.
	OperatorTenant string `yaml:"operator_tenant"`
}

// WebhookQueues are how many attempts are made at once: 0 is 256 of what has just
// happened, 128 to endpoints that are slow, and 64 of replays.
type WebhookQueues struct {
	Live int `yaml:"live"`
	Slow int `yaml:"slow"`
	Bulk int `yaml:"bulk"`
}

// TenantConfig is what is particular to a tenant.
type TenantConfig struct {
	// WebhookAllow are the URLs under which its jobs may have webhooks of their own, such
	// as https://hooks.example.com/penstock/; none: its jobs have none.
	WebhookAllow []string `yaml:"webhook_allow"`
}

const maxQueue = 10_000

// expand puts in environment variables.
func (c *WebhooksConfig) expand(getenv func(string) string) (err error) {
	if c.Proxy, err = expand(c.Proxy, getenv); err != nil {
		return wrong("webhooks.proxy", "%v", err)
	}
	for i := range c.AllowNetworks {
		if c.AllowNetworks[i], err = expand(c.AllowNetworks[i], getenv); err != nil {
			return wrong(fmt.Sprintf("webhooks.allow_networks.%d", i), "%v", err)
		}
	}
	return nil
}

func (c TenantConfig) expand(name string, getenv func(string) string) (err error) {
	for i := range c.WebhookAllow {
		if c.WebhookAllow[i], err = expand(c.WebhookAllow[i], getenv); err != nil {
			return wrong(fmt.Sprintf("tenants.%s.webhook_allow.%d", name, i), "%v", err)
		}
	}
	return nil
}

// validateWebhooks returns every mistake in webhooks and tenants.
func (f *File) validateWebhooks() error {
	mistakes := f.Webhooks.validate()
	for _, name := range slices.Sorted(maps.Keys(f.Tenants)) {
		if !tenantName.MatchString(name) {
			mistakes = mistakes.with(wrong("tenants", "expected names of 1 to 64 letters, digits, dots, dashes or underscores, got %q", name))
			continue
		}
		for i, text := range f.Tenants[name].WebhookAllow {
			if _, err := delivery.ParseAllowed(text); err != nil {
				mistakes = mistakes.with(wrong(fmt.Sprintf("tenants.%s.webhook_allow.%d", name, i),
					"expected a URL such as https://hooks.example.com/penstock/; this one %v", err))
			}
		}
	}
	return mistakes.err()
}

var tenantName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (c *WebhooksConfig) validate() (mistakes ConfigErrors) {
	for i, text := range c.AllowNetworks {
		if n, err := netip.ParsePrefix(text); err != nil || n != n.Masked() || n.Addr().Is4In6() {
			mistakes = mistakes.with(wrong(fmt.Sprintf("webhooks.allow_networks.%d", i), "expected a network such as 10.1.0.0/16, got %q", text))
		}
	}
	if c.Proxy != "" {
		if u := c.proxy(); u == nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https", "socks5"}, u.Scheme) {
			mistakes = mistakes.with(wrong("webhooks.proxy", "expected a URL such as http://proxy.internal:3128, of scheme http, https or socks5"))
		}
	}
	for _, q := range []struct {
		name string
		n    int
	}{{"live", c.Queues.Live}, {"slow", c.Queues.Slow}, {"bulk", c.Queues.Bulk}} {
		if q.n < 0 || q.n > maxQueue {
			mistakes = mistakes.with(wrong("webhooks.queues."+q.name, "expected 1 to %d, got %d", maxQueue, q.n))
		}
	}
	if !tenantName.MatchString(c.OperatorTenant) {
		mistakes = mistakes.with(wrong("webhooks.operator_tenant", "expected 1 to 64 letters, digits, dots, dashes or underscores, got %q", c.OperatorTenant))
	}
	return mistakes
}

func (c *WebhooksConfig) fillDefaults() {
	if c.OperatorTenant == "" {
		c.OperatorTenant = httpapi.DefaultTenant
	}
}

// proxy is nil when there is none, or it is no URL.
func (c *WebhooksConfig) proxy() *url.URL {
	if c.Proxy == "" {
		return nil
	}
	u, err := url.Parse(c.Proxy)
	if err != nil {
		return nil
	}
	return u
}

func (c *WebhooksConfig) queues() courier.Queues { return courier.Queues(c.Queues) }

// allowed is under which URLs jobs may have webhooks, by tenant. The file is valid.
func (f *File) allowed() map[string][]delivery.Allowed {
	all := make(map[string][]delivery.Allowed, len(f.Tenants))
	for name, t := range f.Tenants {
		for _, text := range t.WebhookAllow {
			if a, err := delivery.ParseAllowed(text); err == nil {
				all[name] = append(all[name], a)
			}
		}
	}
	return all
}

// guard is where webhooks may go. An embedded process on a loopback address is for trying
// things out: receivers on the same machine are allowed.
func (c *Config) guard() guard.Config {
	g := guard.Config{
		PlainHTTP: c.File.Webhooks.AllowHTTP, Loopback: c.webhooksOnLoopback(), Proxy: c.File.Webhooks.proxy(),
		MaxIdlePerHost: delivery.MaxConcurrency, // or an endpoint's attempts would each connect anew
	}
	for _, text := range c.File.Webhooks.AllowNetworks {
		if n, err := netip.ParsePrefix(text); err == nil { // it was validated
			g.Networks = append(g.Networks, n)
		}
	}
	return g
}

func (c *Config) webhooksOnLoopback() bool { return c.Role == RoleEmbedded && onLoopback(c.Addr) }

// tellWebhooks says at the start what is not as it would be in production.
func (c *Config) tellWebhooks(log zerolog.Logger) {
	if c.webhooksOnLoopback() {
		log.Info().Msg("webhooks may go to this machine, by plain http as well: this is -embedded on a loopback address")
	}
	if c.Role == RoleWorker && c.publicByDefault {
		log.Warn().Str("key", "PENSTOCK_PUBLIC_URL").Str("url", c.PublicURL).
			Msg("is not set: webhooks say that results are to be had there")
	}
}

// checkPublicURL fills in where callers find the API, and refuses what is no such thing.
func (c *Config) checkPublicURL() error {
	if c.publicByDefault = c.PublicURL == ""; c.publicByDefault {
		c.PublicURL = "http://" + reachable(c.Addr)
		return nil
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" ||
		u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(c.PublicURL, "#") {
		return wrong("PENSTOCK_PUBLIC_URL", "expected where callers find the API, such as https://penstock.example.com")
	}
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	return nil
}

// reachable returns an address to listen at as one to ask at.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("localhost", port)
	}
	return addr
}
