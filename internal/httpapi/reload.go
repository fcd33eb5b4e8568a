package httpapi

import (
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/penstock-dev/penstock/jobs"
)

// Reloaded is what came of reading the configuration again.
type Reloaded struct {
	// Changed names the providers, routes, use cases and tenants that are not what they were.
	Changed []string
	// Restart names what differs too but takes a restart.
	Restart []string
}

// ConfigMistake is one thing wrong with a configuration.
type ConfigMistake struct{ Key, Reason string }

// ConfigErrors is a configuration that is not put into force, with every
// mistake. It may be told to operators.
type ConfigErrors []ConfigMistake

// Error says all mistakes in a line.
func (e ConfigErrors) Error() string { return e.problems().detail() }

func (e ConfigErrors) problems() fieldErrors {
	all := make(fieldErrors, len(e))
	for i, mistake := range e {
		all[i] = fieldError{Pointer: "/" + strings.ReplaceAll(mistake.Key, ".", "/"), Detail: mistake.Reason}
	}
	return all
}

// reloadedJSON is the answer of a reload.
type reloadedJSON struct {
	Object  string   `json:"object"`
	Changed []string `json:"changed"`
	Restart []string `json:"restart"`
}

// reload reads the configuration again. It is for who is on the machine.
func (a *API) reload(x *exchange) error {
	if err := onMachine(x.Request()); err != nil {
		return err
	}
	told, err := a.cfg.Reload()
	if refused, ok := errors.AsType[ConfigErrors](err); ok {
		return refused.problems()
	}
	if err != nil {
		return err
	}
	answer := reloadedJSON{Object: "reload", Changed: []string{}, Restart: []string{}}
	answer.Changed = append(answer.Changed, told.Changed...)
	answer.Restart = append(answer.Restart, told.Restart...)
	x.header().Set("Cache-Control", "no-store")
	return writeJSON(x, http.StatusOK, answer)
}

// onMachine refuses requests from elsewhere: those of other addresses, those
// that a proxy passes on under another name, and those of pages in a browser.
func onMachine(r *http.Request) error {
	if isLoopback(r.RemoteAddr) && isLoopback(r.Host) && r.Header.Get("Origin") == "" {
		return nil
	}
	return &jobs.Error{Code: codeForbidden, Message: "this is for who is on the machine: ask a loopback address from there, or send SIGHUP"}
}

// isLoopback says whether an address, with or without port, is of this machine.
func isLoopback(addr string) bool {
	host := addr
	if h, _, err := net.SplitHostPort(addr); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
