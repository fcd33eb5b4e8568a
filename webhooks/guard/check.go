package guard

import (
	"cmp"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// maxURL is how long an address may be, in bytes.
const maxURL = 2048

// Check reads an address and refuses, with a [*RefusedError], what can be seen to be
// forbidden without resolving its name. What it lets pass may still be refused when
// it is connected to.
func (g *Guard) Check(address string) (*url.URL, error) {
	if len(address) > maxURL {
		return nil, refuse("is longer than %d bytes", maxURL)
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "":
		return nil, refuse("is not an absolute URL such as https://example.com/hooks")
	case u.User != nil:
		return nil, refuse("carries a user name or password; use a header of the endpoint")
	case u.Fragment != "" || strings.HasSuffix(address, "#"):
		return nil, refuse("has a fragment, which is never sent")
	case !validPort(u):
		return nil, refuse("has a port that is not between 1 and 65535")
	case strings.ContainsFunc(u.RawQuery, neverPrinted):
		return nil, refuse("has a query with spaces or letters that are not ASCII: write them as %%20 and the like")
	}
	if err := g.checkTarget(u); err != nil {
		return nil, err
	}
	return u, nil
}

func (g *Guard) checkTarget(u *url.URL) error {
	return cmp.Or(g.checkHost(u.Hostname()), g.checkScheme(u))
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && n > 0
}

// neverPrinted reports whether c cannot stand in the first line of a request. That is
// where a query goes as it is, unlike a path.
func neverPrinted(c rune) bool { return c <= ' ' || c > '~' }

func (g *Guard) checkScheme(u *url.URL) error {
	switch {
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (g.cfg.PlainHTTP || g.cfg.Loopback && isLoopback(u.Hostname())):
		return nil
	case u.Scheme == "http":
		return refuse("is not https; plain http is allowed by the operator only")
	}
	return refuse("has the scheme %q; want https", u.Scheme)
}

// checkHost judges a host that is an address in figures, and the names that never
// leave a network.
func (g *Guard) checkHost(host string) error {
	host, err := toASCII(host)
	if err != nil {
		return refuse("has a host that is no name as IDNA writes them")
	}
	addr, err := netip.ParseAddr(host)
	if err == nil {
		if addr.Zone() != "" {
			return refuse("has an address with a zone, which is not a public address")
		}
		if g.safe.SafeAddr(addr.Unmap()) != nil {
			return refuse("has the address %s, which is not public", addr)
		}
		return nil
	}
	name := strings.ToLower(strings.TrimRight(host, "."))
	switch {
	case isLoopback(name):
		if !g.cfg.Loopback {
			return refuse("is the machine itself, which is not a public address")
		}
	case looksNumeric(name):
		return refuse("has a host in figures that is no address as RFC 3986 writes it")
	case !strings.Contains(name, ".") || hasSuffix(name, ".internal", ".local", ".localdomain", ".home.arpa"):
		if len(g.cfg.Networks) == 0 {
			return refuse("has a name that is known inside a network only")
		}
	}
	return nil
}

// toASCII returns the host that is asked for when this one is named: net/http, too, reads
// ⓛocalhost as localhost, and 127。0。0。1 as an address.
func toASCII(host string) (string, error) {
	if !strings.ContainsFunc(host, func(c rune) bool { return c > '~' }) {
		return host, nil
	}
	return idna.Lookup.ToASCII(host)
}

// isLoopback reports whether a host says by itself that it is the machine.
func isLoopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// looksNumeric reports whether C's resolvers read the name as an IPv4 address, such
// as 2130706433, 0x7f.1 or 0177.0.0.1: by its last part, as the URL standard of
// WHATWG does.
func looksNumeric(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if strings.HasPrefix(last, "0x") {
		return true
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

func hasSuffix(name string, suffixes ...string) bool {
	for _, s := range suffixes {
		if strings.HasSuffix(name, s) {
			return true
		}
	}
	return false
}
