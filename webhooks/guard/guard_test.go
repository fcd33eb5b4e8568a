package guard_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/penstock-dev/penstock/webhooks/guard"
)

func newGuard(t *testing.T, cfg guard.Config) *guard.Guard {
	t.Helper()
	g, err := guard.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func mustBeRefused(t *testing.T, err error, address string) {
	t.Helper()
	if refused := (&guard.RefusedError{}); !errors.As(err, &refused) {
		t.Errorf("%s: got %v, want it refused", address, err)
	}
}

// private are addresses that must not be connected to, one for each registry entry
// and each way in which a public protocol carries another address inside.
var private = []string{
	"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1",
	"100.100.100.200", // metadata of Alibaba Cloud
	"127.0.0.1", "127.255.255.254",
	"168.63.129.16",   // host of a machine at Azure
	"169.254.169.254", // metadata of AWS, Google Cloud, Azure
	"169.254.170.2",   // metadata of a container at AWS
	"172.16.0.1", "172.31.255.255",
	"192.0.0.192", // metadata of Oracle Cloud
	"192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
	"224.0.0.1", "240.0.0.1", "255.255.255.255",
	"::", "::1",
	"::7f00:1",          // IPv4-compatible
	"::ffff:127.0.0.1",  // IPv4-mapped
	"::ffff:a9fe:a9fe",  // the same of the metadata
	"64:ff9b::7f00:1",   // NAT64
	"64:ff9b:1::a00:1",  // NAT64 of a local network
	"100::1",            // discard
	"2001::1",           // Teredo
	"2001:db8::1",       // documentation
	"2002:7f00:1::",     // 6to4
	"2002:a9fe:a9fe::1", // 6to4 of the metadata
	"3fff::1",
	"5f00::1",
	"fc00::1",
	"fd00:ec2::254", // metadata of AWS by IPv6
	"fd20:ce::254",  // metadata of Google Cloud by IPv6
	"fe80::1", "fec0::1", "ff02::1",
}

func hostPort(ip string) string { return net.JoinHostPort(ip, "443") }

func TestAddressesInFiguresAreRefused(t *testing.T) {
	t.Parallel()
	g := newGuard(t, guard.Config{PlainHTTP: true})
	for _, ip := range private {
		_, err := g.Check("https://" + hostPort(ip) + "/hooks")
		mustBeRefused(t, err, ip)
	}
}

// A name may resolve to anything, and to another address the second time.
func TestWhatANameResolvesToIsJudged(t *testing.T) {
	t.Parallel()
	for _, ip := range private {
		t.Run(ip, func(t *testing.T) {
			t.Parallel()
			g := newGuard(t, guard.Config{Resolver: resolver(t, func(int) string { return ip })})
			if _, err := g.Check("https://hooks.example.com/"); err != nil {
				t.Fatalf("check: %v", err)
			}
			get(t, g, "https://hooks.example.com/", true)
		})
	}
}

func TestANameThatIsReboundIsRefused(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(server.Close)
	port := server.URL[strings.LastIndexByte(server.URL, ':'):]
	// The first address is one where an operator allows to go and nobody answers.
	g := newGuard(t, guard.Config{
		Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}, PlainHTTP: true,
		Resolver: resolver(t, func(n int) string {
			if n == 0 {
				return "127.0.0.9"
			}
			return "127.0.0.1"
		}),
	})
	get(t, g, "http://hooks.example.com"+port+"/", false)
	get(t, g, "http://hooks.example.com"+port+"/", true)
	if n := hits.Load(); n != 0 {
		t.Errorf("the server was asked %d times, want never", n)
	}
}

// get asks for the address, which must fail: by the guard, if it is to refuse.
func get(t *testing.T, g *guard.Guard, address string, refused bool) {
	t.Helper()
	transport := g.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := transport.RoundTrip(r)
	if err == nil {
		_ = res.Body.Close()
		t.Fatalf("%s: got status %d, want no answer", address, res.StatusCode)
	}
	if refused {
		mustBeRefused(t, err, address)
	}
}

func TestTricksAreRefused(t *testing.T) {
	t.Parallel()
	g := newGuard(t, guard.Config{})
	for _, address := range []string{
		"", "/hooks", "example.com/hooks", "//example.com/hooks", "https://", "https:///hooks", "https:example.com",
		"http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "HTTP://example.com/",
		"https://user@example.com/", "https://user:secret@example.com/", "https://example.com@127.0.0.1/", "https://:@example.com/",
		"https://example.com/#fragment", "https://example.com/#", "https://example.com:0/", "https://example.com:65536/",
		"https://example.com:/", "https://example.com:https/",
		"https://localhost/", "https://LOCALHOST./", "https://a.localhost/", "https://metadata/", "https://metadata.google.internal/",
		"https://instance-data/", "https://printer.local/", "https://kubernetes.default.svc.cluster.local/",
		"https://2130706433/", "https://0x7f000001/", "https://017700000001/", "https://127.1/", "https://127.0.1/",
		"https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://0x7f.0x0.0x0.0x1/", "https://127.0.0.1./", "https://0/", "https://1.2.3.4.5/",
		"https://127.0.0.1%2f@example.com/", "https://127.0.0.1%00.example.com/", "https://exa mple.com/", "https://example.com\t/",
		"https://[::1", "https://[::1]x/", "https://[fe80::1%25eth0]/", "https://[::ffff:169.254.169.254]/", "https://[::ffff:0:127.0.0.1]/",
		"https://" + strings.Repeat("a", 2048) + ".com/",
	} {
		u, err := g.Check(address)
		if mustBeRefused(t, err, address); err != nil && u != nil {
			t.Errorf("%s: got %v beside the refusal", address, u)
		}
	}
}

// Figures in other scripts and full-width dots are what net/http makes of them.
func TestOtherScriptsAreReadAsTheyAreSent(t *testing.T) {
	t.Parallel()
	g := newGuard(t, guard.Config{})
	for _, host := range []string{
		"①②⑦.⓪.⓪.①", "127。0。0。1", "127.0.0。１", "169.254.169。２５４", "ｌocalhost", "a.localhost。", "metadata.google。internal",
		"printer.ｌocal", "２１３０７０６４３３", "0x7f.0.0。0ｘ1", "a\u202e.example.com",
	} {
		_, err := g.Check("https://" + host + "/")
		mustBeRefused(t, err, host)
	}
	if _, err := g.Check("https://bücher.example.com/"); err != nil {
		t.Errorf("a name in another alphabet: %v", err)
	}
}

// What an operator has allowed and does no more is not asked for: an address is judged
// again whenever it is.
func TestWhatIsNoLongerAllowedIsNotAskedFor(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(server.Close)
	g := newGuard(t, guard.Config{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}) // and PlainHTTP, once
	get(t, g, server.URL, true)
	if n := hits.Load(); n != 0 {
		t.Errorf("the server was asked %d times, want never", n)
	}
}

// A query is sent as it was written, unlike a path.
func TestAQueryStaysInItsLine(t *testing.T) {
	t.Parallel()
	g := newGuard(t, guard.Config{})
	for _, query := range []string{"a b", "x HTTP/1.0", " ", "é"} {
		_, err := g.Check("https://example.com/?" + query)
		mustBeRefused(t, err, query)
	}
	for _, address := range []string{"https://example.com/?a=%20b+c&%C3%A9", "https://example.com/a b/é"} {
		if _, err := g.Check(address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// A name that becomes an address on its way is judged as that, too.
func TestAddressesInOtherScriptsReachNothing(t *testing.T) {
	t.Parallel()
	g := newGuard(t, guard.Config{Resolver: resolver(t, func(int) string { return "127.0.0.1" })})
	for _, host := range []string{"①②⑦.⓪.⓪.①", "127。0。0。1", "１２７.0.0.1x", "127.0.0.1.nip.io", "localtest.me"} {
		get(t, g, "https://"+host+"/", true)
	}
}

func TestWhatTheOperatorAllowsIsReached(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }))
	t.Cleanup(server.Close)
	for name, cfg := range map[string]guard.Config{
		"loopback": {Loopback: true},
		"network":  {PlainHTTP: true, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	} {
		g := newGuard(t, cfg)
		u, err := g.Check(server.URL + "/hooks")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := ask(t, g, u); got != "here" {
			t.Errorf("%s: got %q", name, got)
		}
		for _, other := range []string{"https://10.0.0.1/", "https://169.254.169.254/"} {
			_, err := g.Check(other)
			mustBeRefused(t, err, other)
		}
	}
	_, err := newGuard(t, guard.Config{Loopback: true}).Check("http://example.com/")
	mustBeRefused(t, err, "plain http to others than the machine")
	if _, err := newGuard(t, guard.Config{}).Check("https://example.com:8443/hooks?a=b"); err != nil {
		t.Errorf("a public address: %v", err)
	}
}

func ask(t *testing.T, g *guard.Guard, u *url.URL) string {
	t.Helper()
	transport := g.Transport()
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A proxy is where the operator says it is, private or not; addresses in figures are
// judged before it is asked.
func TestAProxyCarriesRequests(t *testing.T) {
	t.Parallel()
	var asked atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.String())
		_, _ = io.WriteString(w, "by proxy")
	}))
	t.Cleanup(proxy.Close)
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	g := newGuard(t, guard.Config{Proxy: at, PlainHTTP: true})
	u, err := g.Check("http://hooks.example.com/a")
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, g, u); got != "by proxy" || asked.Load() != "http://hooks.example.com/a" {
		t.Errorf("got %q, the proxy was asked for %v", got, asked.Load())
	}
	get(t, g, "http://169.254.169.254/latest/meta-data", true)
	get(t, g, "http://2852039166/latest/meta-data", true)
	get(t, g, "http://169.254.169。２５４/latest/meta-data", true)
}

// The environment's proxies are not obeyed: what is judged would be their address.
func TestTheEnvironmentsProxyIsNotUsed(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://example.com/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if proxy, err := newGuard(t, guard.Config{}).Transport().Proxy(r); proxy != nil || err != nil {
		t.Errorf("the transport has the proxy %v, %v", proxy, err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for _, cfg := range []guard.Config{
		{Proxy: &url.URL{Scheme: "ftp", Host: "proxy:21"}}, {ConnectTimeout: -1}, {MaxIdlePerHost: -1},
	} {
		if _, err := guard.New(cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}

// resolver returns one that answers the nth question with the given address.
func resolver(t *testing.T, answer func(n int) string) *net.Resolver {
	t.Helper()
	server, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		serveNames(server, answer)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// serveNames answers questions until the connection is closed. Only questions for
// the kind of address that the answer has are counted.
func serveNames(c net.PacketConn, answer func(n int) string) {
	buf := make([]byte, 1500)
	for n := 0; ; {
		size, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:size]) != nil || len(m.Questions) != 1 {
			continue
		}
		q, ip := m.Questions[0], netip.MustParseAddr(answer(n))
		m.Response, m.Additionals = true, nil
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
		switch {
		case q.Type == dnsmessage.TypeA && ip.Is4():
			m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: ip.As4()}}}
			n++
		case q.Type == dnsmessage.TypeAAAA && ip.Is6():
			m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}}}
			n++
		}
		if packed, err := m.Pack(); err == nil {
			_, _ = c.WriteTo(packed, from)
		}
	}
}
