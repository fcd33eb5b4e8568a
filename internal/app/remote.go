package app

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/address"
	"github.com/penstock-dev/penstock/providers/keyring"
)

// expandProvider puts in environment variables.
func expandProvider(c *ProviderConfig, key string, getenv func(string) string) (err error) {
	fields := map[string]*string{
		"base_url": &c.BaseURL, "url": &c.URL, "api_key": &c.APIKey, "api_key_file": &c.APIKeyFile,
	}
	for i := range c.APIKeys {
		fields[fmt.Sprintf("api_keys.%d", i)] = &c.APIKeys[i]
	}
	for i := range c.APIKeyFiles {
		fields[fmt.Sprintf("api_key_files.%d", i)] = &c.APIKeyFiles[i]
	}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if *fields[field], err = expand(*fields[field], getenv); err != nil {
			return wrong(key+"."+field, "%v", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		if c.Headers[name], err = expand(c.Headers[name], getenv); err != nil {
			return wrong(key+".headers."+name, "%v", err)
		}
	}
	return nil
}

// validateRemote validates what servers elsewhere have in common.
func (c ProviderConfig) validateRemote(key, example string) error {
	u, err := url.Parse(c.BaseURL)
	if c.BaseURL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return wrong(key+".base_url", "expected a URL such as %s", example)
	}
	if c.Latency != nil || c.Seed != 0 || c.Faults != "" {
		return wrong(key, "latency, faults and seed belong to type simulated")
	}
	if c.URL != "" {
		if c.BaseURL != "" {
			return wrong(key, "expected base_url or url, not both")
		}
		if _, err := address.Parse(c.URL); err != nil {
			return wrong(key+".url", "%v", err)
		}
	}
	if err := c.validateHeaders(key); err != nil || c.Auth == nil {
		return err
	}
	return c.Auth.validate(key + ".auth")
}

func (c ProviderConfig) validateHeaders(key string) error {
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		switch key := key + ".headers." + name; {
		case !httpguts.ValidHeaderFieldName(name):
			return wrong(key, "is not a header's name")
		case slices.Contains(ownHeaders, strings.ToLower(name)):
			return wrong(key, "is not for the configuration to set")
		case !httpguts.ValidHeaderFieldValue(c.Headers[name]):
			return wrong(key, "contains a character no header can carry, such as a line break")
		}
	}
	return nil
}

// ownHeaders are those that belong to the connection or to the call.
var ownHeaders = []string{
	"host", "connection", "content-length", "content-type", "transfer-encoding", "accept-encoding", "idempotency-key",
}

func (c *AuthConfig) validate(key string) error {
	switch {
	case !httpguts.ValidHeaderFieldName(c.Header):
		return wrong(key+".header", "expected a header's name, such as api-key, got %q", c.Header)
	case slices.Contains(ownHeaders, strings.ToLower(c.Header)):
		return wrong(key+".header", "is not for the configuration to set")
	case c.Scheme != "" && !httpguts.ValidHeaderFieldName(c.Scheme): // both are tokens
		return wrong(key+".scheme", "expected one word, such as Bearer, or nothing")
	}
	return nil
}

// keys returns where the keys are, in the order of their use. Each is named by
// its field.
func (c ProviderConfig) keys() (all []keyring.Key) {
	if c.APIKey != "" {
		all = append(all, keyring.Key{Name: "api_key", Value: providers.Secret(c.APIKey)})
	}
	for i, value := range c.APIKeys {
		all = append(all, keyring.Key{Name: fmt.Sprintf("api_keys.%d", i), Value: providers.Secret(value)})
	}
	if c.APIKeyFile != "" {
		all = append(all, keyring.Key{Name: "api_key_file", File: c.APIKeyFile})
	}
	for i, path := range c.APIKeyFiles {
		all = append(all, keyring.Key{Name: fmt.Sprintf("api_key_files.%d", i), File: path})
	}
	return all
}

func (c ProviderConfig) headers() map[string]providers.Secret {
	headers := make(map[string]providers.Secret, len(c.Headers))
	for name, value := range c.Headers {
		headers[name] = providers.Secret(value)
	}
	return headers
}

// auth returns how the key is sent; both empty: as the type does.
func (c ProviderConfig) auth() (header, scheme string) {
	if c.Auth == nil {
		return "", ""
	}
	return c.Auth.Header, c.Auth.Scheme
}
