package delivery

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// Allowed is a URL under which jobs may have webhooks of their own: those of the same
// scheme, host and port, whose path is its path or goes on behind it by whole segments.
type Allowed struct{ origin, path string }

// ParseAllowed reads a URL such as https://hooks.acme.com/penstock/. With the slash at the
// end, /penstock itself is not under it.
func ParseAllowed(text string) (Allowed, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return Allowed{}, errors.New("is no URL such as https://hooks.example.com/penstock/")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#"):
		return Allowed{}, errors.New("has more than scheme, host, port and path")
	case !plainPath(u):
		return Allowed{}, errors.New("has a path that may be read in several ways")
	}
	return Allowed{origin: originOf(u), path: pathOf(u)}, nil
}

// covers reports whether u is under a.
func (a Allowed) covers(u *url.URL) bool {
	if originOf(u) != a.origin || !plainPath(u) {
		return false
	}
	behind, ok := strings.CutPrefix(pathOf(u), a.path)
	return ok && (behind == "" || strings.HasSuffix(a.path, "/") || behind[0] == '/')
}

// SetAllowed replaces under which URLs a tenant's jobs may have webhooks, by tenant. Jobs
// that were taken in keep theirs.
func (s *Service) SetAllowed(allowed map[string][]Allowed) { s.allowed.Store(&allowed) }

func (s *Service) allows(tenant string, u *url.URL) bool {
	return slices.ContainsFunc((*s.allowed.Load())[tenant], func(a Allowed) bool { return a.covers(u) })
}

// defaultPorts are those that an origin is written without.
var defaultPorts = map[string]string{"https": ":443", "http": ":80"}

// originOf returns scheme, host and port of a URL as browsers write them (RFC 6454, 6.2).
func originOf(u *url.URL) string {
	return u.Scheme + "://" + strings.TrimSuffix(strings.ToLower(u.Host), defaultPorts[u.Scheme])
}

func pathOf(u *url.URL) string {
	if u.Path == "" {
		return "/"
	}
	return u.Path
}

// plainPath reports whether all servers read the path of a URL as the same segments: what
// leads upwards, or hides a slash, could lead out of what is allowed.
func plainPath(u *url.URL) bool {
	if strings.ContainsAny(u.Path, `\%`) || strings.ContainsFunc(u.Path, unicode.IsControl) ||
		strings.Contains(strings.ToLower(u.EscapedPath()), "%2f") {
		return false
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		name, _, _ := strings.Cut(segment, ";")
		if name == "." || name == ".." {
			return false
		}
	}
	return true
}
