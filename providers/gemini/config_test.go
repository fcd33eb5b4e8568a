package gemini_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers/gemini"
)

func TestNewNamesTheFieldThatMakesNoSense(t *testing.T) {
	t.Parallel()
	for field, config := range map[string]gemini.Config{
		"BaseURL": {BaseURL: "https://user:hunter2hunter2@host/v1beta"},
		"APIKey":  {APIKey: "hunter2hunter2\n"},
	} {
		_, err := gemini.New(config)
		if err == nil || !strings.Contains(err.Error(), field) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v, want an error naming %s", err, field)
		}
	}
	provider, err := gemini.New(gemini.Config{APIKey: "hunter2hunter2"})
	if err != nil {
		t.Fatalf("the zero Config with a key: %v", err)
	}
	holder := struct{ provider *gemini.Provider }{provider}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{provider, *provider, holder, &holder} {
			s := strings.ToLower(fmt.Sprintf(verb, value))
			if strings.Contains(s, "hunter2") || strings.Contains(s, fmt.Sprintf("%x", "hunter2")) {
				t.Errorf("%s shows the secret: %s", verb, s)
			}
		}
	}
}
