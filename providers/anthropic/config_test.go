package anthropic_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/anthropic"
)

func failureOf(t *testing.T, err error) *providers.Error {
	t.Helper()
	failure, ok := errors.AsType[*providers.Error](err)
	if !ok {
		t.Fatalf("got %T %v, want a *providers.Error", err, err)
	}
	return failure
}

func TestNewNamesTheFieldThatMakesNoSense(t *testing.T) {
	t.Parallel()
	for field, config := range map[string]anthropic.Config{
		"BaseURL":   {BaseURL: "https://user:hunter2hunter2@host/v1"},
		"APIKey":    {APIKey: "hunter2hunter2\n"},
		"Version":   {Version: "a\nb"},
		"MaxTokens": {MaxTokens: -1},
	} {
		_, err := anthropic.New(config)
		if err == nil || !strings.Contains(err.Error(), field) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v, want an error naming %s", err, field)
		}
	}
	provider, err := anthropic.New(anthropic.Config{APIKey: "hunter2hunter2"})
	if err != nil {
		t.Fatalf("the zero Config with a key: %v", err)
	}
	holder := struct{ provider *anthropic.Provider }{provider}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{provider, *provider, holder, &holder} {
			s := strings.ToLower(fmt.Sprintf(verb, value))
			if strings.Contains(s, "hunter2") || strings.Contains(s, fmt.Sprintf("%x", "hunter2")) {
				t.Errorf("%s shows the secret: %s", verb, s)
			}
		}
	}
}
