package translate_test

import (
	"net/http"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/anthropic"
	"github.com/penstock-dev/penstock/providers/gemini"
	"github.com/penstock-dev/penstock/providers/openai"
	"github.com/penstock-dev/penstock/providers/providertest"
	"github.com/penstock-dev/penstock/providers/translate"
)

// chatOnly has chat completions and translates the rest.
var chatOnly = translate.Config{Native: []string{providers.ChatCompletions}}

func openOpenAI(t *testing.T, handler http.Handler) providers.Provider {
	t.Helper()
	provider, err := openai.New(openai.Config{
		BaseURL: "http://memory/v1", APIKey: providertest.Key, DialContext: providertest.Dial(t, handler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = provider.Close() })
	return translate.New(provider, chatOnly)
}

func openAnthropic(t *testing.T, handler http.Handler) providers.Provider {
	t.Helper()
	provider, err := anthropic.New(anthropic.Config{
		BaseURL: "http://memory/v1", APIKey: providertest.Key, DialContext: providertest.Dial(t, handler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = provider.Close() })
	return translate.New(provider, chatOnly)
}

func openGemini(t *testing.T, handler http.Handler) providers.Provider {
	t.Helper()
	provider, err := gemini.New(gemini.Config{
		BaseURL: "http://memory/v1beta", APIKey: providertest.Key, DialContext: providertest.Dial(t, handler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = provider.Close() })
	return translate.New(provider, chatOnly)
}

// TestConformance: what is translated is a provider like any other, over every
// format, and what is not goes through untouched.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, format := range map[string]struct {
		wire providertest.Wire
		open providertest.Open
	}{
		"openai":    {providertest.OpenAI(), openOpenAI},
		"anthropic": {providertest.Anthropic(), openAnthropic},
		"gemini":    {providertest.Gemini(), openGemini},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("chat completions", func(t *testing.T) { providertest.Run(t, format.wire, format.open) })
			t.Run("responses", func(t *testing.T) { providertest.Run(t, providertest.AsResponses(format.wire), format.open) })
			t.Run("messages", func(t *testing.T) { providertest.Run(t, providertest.AsMessages(format.wire), format.open) })
		})
	}
}
