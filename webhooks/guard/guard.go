// Package guard keeps requests to addresses that strangers name away from what is
// not theirs: the machine itself, the networks behind it, the cloud's metadata.
//
// What counts is the address that is connected to, not the name: it is judged when
// the connection is made, after the name was resolved, so that a name that resolves
// to something else the second time, or that is a number in disguise, gets no
// further. [Guard.Check] refuses the same earlier, where that can be seen, so that
// whoever names an address learns it at once.
package guard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// Config says what may be connected to beyond public addresses by HTTPS. The zero
// value allows nothing more.
type Config struct {
	// Networks may be connected to although they are not public, such as 10.1.0.0/16.
	Networks []netip.Prefix
	// PlainHTTP allows http addresses.
	PlainHTTP bool
	// Loopback allows http and https to the machine itself: for trying things out
	// where everything else is on a loopback address as well.
	Loopback bool
	// Proxy, if not nil, carries all requests: an http, https or socks5 URL. It
	// resolves the names, and so must itself refuse names of private addresses;
	// addresses in figures are refused here all the same.
	Proxy *url.URL

	// ConnectTimeout bounds one connection attempt, with TLS; default 10 s.
	ConnectTimeout time.Duration
	// MaxIdlePerHost is how many connections to one host are kept open; default 16.
	MaxIdlePerHost int

	// Resolver resolves names; default net.DefaultResolver.
	Resolver *net.Resolver
}

// RefusedError says that an address may not be connected to. Its text can be shown
// to whoever named the address: it tells nothing that they did not say themselves.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

func refuse(format string, args ...any) error {
	return &RefusedError{Reason: fmt.Sprintf(format, args...)}
}

// Guard judges addresses. It may be used by several goroutines.
type Guard struct {
	cfg  Config
	safe *ssrf.Guardian
}

// azure is where Azure's machines find their host: a public address that is not.
var azure = netip.MustParsePrefix("168.63.129.16/32")

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// New refuses a Config with a proxy of another kind or a negative figure.
func New(cfg Config) (*Guard, error) {
	if cfg.Proxy != nil && !slices.Contains([]string{"http", "https", "socks5"}, cfg.Proxy.Scheme) {
		return nil, fmt.Errorf("guard: Proxy has the scheme %q; want http, https or socks5", cfg.Proxy.Scheme)
	}
	if cfg.ConnectTimeout < 0 || cfg.MaxIdlePerHost < 0 {
		return nil, errors.New("guard: ConnectTimeout and MaxIdlePerHost cannot be negative")
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 10 * time.Second
	}
	if cfg.MaxIdlePerHost == 0 {
		cfg.MaxIdlePerHost = 16
	}
	networks := slices.Clone(cfg.Networks)
	if cfg.Loopback {
		networks = append(networks, loopback...)
	}
	var v4, v6 []netip.Prefix
	for _, n := range networks {
		if n.Addr().Is4() {
			v4 = append(v4, n)
		} else {
			v6 = append(v6, n)
		}
	}
	return &Guard{cfg: cfg, safe: ssrf.New(
		ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...), ssrf.WithDeniedV4Prefixes(azure),
	)}, nil
}

// Transport returns a new transport that connects to nothing the guard refuses, and asks
// for no address that [Guard.Check] refuses: one may have been allowed when it was named.
// The error of such a request wraps a [*RefusedError]. It obeys no proxy of the
// environment: the proxy would be what is judged.
func (g *Guard) Transport() *http.Transport {
	t := &http.Transport{
		Proxy:                  g.proxy,
		DialContext:            g.dial,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		TLSHandshakeTimeout:    g.cfg.ConnectTimeout,
		MaxIdleConns:           1024,
		MaxIdleConnsPerHost:    g.cfg.MaxIdlePerHost,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
	}
	if g.cfg.Proxy != nil {
		t.DialContext = g.dialer(nil).DialContext
	}
	return t
}

func (g *Guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return g.dialer(g.judge).DialContext(ctx, network, address)
}

func (g *Guard) dialer(control func(string, string, syscall.RawConn) error) *net.Dialer {
	return &net.Dialer{Timeout: g.cfg.ConnectTimeout, KeepAlive: 30 * time.Second, Control: control, Resolver: g.cfg.Resolver}
}

// judge is asked with the resolved address before the connection is made.
func (g *Guard) judge(network, address string, conn syscall.RawConn) error {
	if err := g.safe.Safe(network, address, conn); err != nil {
		return refuse("its name resolves to %s, which is not a public address", hostOf(address))
	}
	return nil
}

// proxy is asked once for each request; it returns nil if there is none.
func (g *Guard) proxy(r *http.Request) (*url.URL, error) {
	if err := g.checkTarget(r.URL); err != nil {
		return nil, err
	}
	return g.cfg.Proxy, nil
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
