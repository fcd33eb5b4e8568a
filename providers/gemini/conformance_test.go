package gemini_test

import (
	"net/http"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/gemini"
	"github.com/penstock-dev/penstock/providers/providertest"
)

func open(t *testing.T, handler http.Handler) providers.Provider {
	t.Helper()
	return openWith(t, handler, gemini.Config{})
}

// openWith makes a provider that calls handler over memory.
func openWith(t *testing.T, handler http.Handler, config gemini.Config) *gemini.Provider {
	t.Helper()
	config.BaseURL = "http://memory/v1beta"
	config.APIKey = providertest.Key
	config.DialContext = providertest.Dial(t, handler)
	provider, err := gemini.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = provider.Close() })
	return provider
}

func TestConformance(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Gemini(), open)
}
