package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/responses"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

var _ providers.Check = Config{}.Check

// Serves returns the endpoints that the server has: Endpoints, or their default.
func (c Config) Serves() []string {
	if len(c.Endpoints) > 0 {
		return c.Endpoints
	}
	serves := []string{providers.ChatCompletions, providers.Embeddings}
	base, err := url.Parse(transport.OrDefault(c.BaseURL, DefaultBaseURL))
	if err == nil && c.URL == "" && isOpenAI(base.Hostname()) {
		serves = append(serves, providers.Responses)
	}
	return serves
}

// isOpenAI knows OpenAI itself and its regions, such as eu.api.openai.com.
func isOpenAI(host string) bool {
	return host == "api.openai.com" || strings.HasSuffix(host, ".api.openai.com")
}

// Check is a [providers.Check]. Bodies are the server's own, so it carries all
// of them, but for what of Responses is kept at the server: a job may be served
// by any of its targets, and all tenants share the server's account.
func (c Config) Check(endpoint string, body json.RawMessage) error {
	if !slices.Contains(c.Serves(), endpoint) {
		return &providers.UnsupportedError{Reason: "the server has no such endpoint"}
	}
	if endpoint == providers.Responses {
		return responses.CheckStateless(body)
	}
	return nil
}

// refusal is what Check says as the error of a call that was not made, or nil.
func (c Config) refusal(req providers.Request) error {
	err := c.Check(req.Endpoint, req.Body)
	if unsupported, ok := errors.AsType[*providers.UnsupportedError](err); ok {
		return unsupported.Refuse()
	}
	return err
}

// checkEndpoints names what is no endpoint of this format.
func checkEndpoints(endpoints []string) error {
	for _, endpoint := range endpoints {
		switch endpoint {
		case providers.ChatCompletions, providers.Embeddings, providers.Responses:
		default:
			return fmt.Errorf("in Endpoints, %q is none of this format", endpoint)
		}
	}
	return nil
}
