// Package address says where calls go when that is not one base URL with a
// path behind it: as with Azure, which wants the model in the path and a
// version in the query.
package address

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Template is a URL with {model} and {endpoint} in its path or query.
type Template struct {
	path  string // and all before it
	query string
	model bool
}

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// Parse reads a template such as
// https://example.openai.azure.com/openai/deployments/{model}/{endpoint}?api-version=2025-04-01-preview.
// The scheme and the host must be there as they are: a caller chooses the model,
// and must not choose the host. Errors do not quote the template, which may
// hold a secret, but for what is in braces.
func Parse(s string) (*Template, error) {
	for _, name := range placeholder.FindAllString(s, -1) {
		if name != "{model}" && name != "{endpoint}" {
			return nil, fmt.Errorf("has %s: expected {model} or {endpoint}", name)
		}
	}
	if strings.ContainsAny(placeholder.ReplaceAllString(s, ""), "{}") {
		return nil, errors.New("has a brace without its other")
	}
	u, err := url.Parse(placeholder.ReplaceAllString(s, "x"))
	switch {
	case err != nil:
		return nil, errors.New("is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("must begin with http:// or https://")
	case u.Host == "":
		return nil, errors.New("names no host")
	case u.User != nil:
		return nil, errors.New("must not carry a user or password")
	case strings.Contains(s, "#"):
		return nil, errors.New("must not carry a fragment")
	case !strings.HasPrefix(s, u.Scheme+"://"+u.Host+"/"):
		return nil, errors.New("must name its host without {model} and {endpoint}, with a path behind it")
	}
	t := &Template{model: strings.Contains(s, "{model}")}
	t.path, t.query, _ = strings.Cut(s, "?")
	return t, nil
}

// ErrModel is a model that the template has no place for.
var ErrModel = errors.New("no path can carry the model's name")

// Fill returns the URL for a call. The endpoint is a path and keeps its slashes;
// all else of it and of the model is escaped. A query of the call's own, which
// is escaped already, follows that of the template.
func (t *Template) Fill(model, endpoint, query string) (string, error) {
	if t.model && (model == "" || model == "." || model == "..") {
		return "", ErrModel // the latter two would lead to other places
	}
	endpoint = strings.Trim(endpoint, "/")
	filled := strings.NewReplacer("{model}", url.PathEscape(model), "{endpoint}", endpoint).Replace(t.path)
	own := strings.NewReplacer("{model}", url.QueryEscape(model), "{endpoint}", url.QueryEscape(endpoint)).Replace(t.query)
	if own != "" && query != "" {
		own += "&"
	}
	if own += query; own != "" {
		filled += "?" + own
	}
	return filled, nil
}

// String is the template without its query, which may hold a secret.
func (t *Template) String() string { return t.path }
