package httpapi

import (
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/jobs"
)

// checkHost refuses names that are not ours, where Hosts says which are: a page
// in a browser can have its own name point at a loopback address, and would
// then speak to us as if it were ours (DNS rebinding).
func (a *API) checkHost(r *http.Request) error {
	if a.cfg.Hosts == nil {
		return nil
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if isLoopback(host) || slices.Contains(a.cfg.Hosts, host) {
		return nil
	}
	return &jobs.Error{
		Code:    codeForbidden,
		Message: "this address answers to localhost and to the names under hosts in the configuration file alone",
	}
}
