package transport

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/address"
)

// addressOf returns where calls go, and how to say it without secrets.
func addressOf(config Config) (of func(*Exchange) (string, error), said string, err error) {
	if config.URL == "" {
		base, err := parseBaseURL(config.BaseURL)
		if err != nil {
			return nil, "", err
		}
		return func(x *Exchange) (string, error) {
			target := base.JoinPath(x.Path)
			target.RawQuery = x.Query
			return target.String(), nil
		}, base.Redacted(), nil
	}
	template, err := address.Parse(config.URL)
	if err != nil {
		return nil, "", fmt.Errorf("URL %w", err)
	}
	return func(x *Exchange) (string, error) {
		filled, err := template.Fill(x.Model, x.Path, x.Query)
		if err != nil {
			return "", &providers.Error{Class: providers.NotFound, Message: err.Error()}
		}
		return filled, nil
	}, template.String(), nil
}

// parseBaseURL never quotes what it refuses: it may hold a password.
func parseBaseURL(raw string) (*url.URL, error) {
	base, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("BaseURL is not a URL")
	case base.Scheme != "http" && base.Scheme != "https":
		return nil, errors.New("BaseURL must begin with http:// or https://")
	case base.Host == "":
		return nil, errors.New("BaseURL names no host")
	case base.User != nil:
		return nil, errors.New("BaseURL must not carry a user or password: use APIKey or Headers")
	case base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("BaseURL must not carry a query or fragment")
	}
	return base, nil
}
