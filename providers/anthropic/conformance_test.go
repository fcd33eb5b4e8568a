package anthropic_test

import (
	"net/http"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/anthropic"
	"github.com/penstock-dev/penstock/providers/providertest"
)

// open makes a provider that calls handler in memory.
func open(t *testing.T, handler http.Handler) providers.Provider {
	t.Helper()
	return openWith(t, handler, anthropic.Config{})
}

func openWith(t *testing.T, handler http.Handler, config anthropic.Config) *anthropic.Provider {
	t.Helper()
	config.BaseURL = "http://memory/v1"
	config.APIKey = providertest.Key
	config.DialContext = providertest.Dial(t, handler)
	provider, err := anthropic.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = provider.Close() })
	return provider
}

func TestConformance(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Anthropic(), open)
}

func TestMessagesConformance(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Messages(), open)
}
