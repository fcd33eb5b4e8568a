package openai_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers/openai"
)

func TestNewNamesTheFieldThatMakesNoSense(t *testing.T) {
	t.Parallel()
	for field, config := range map[string]openai.Config{
		"BaseURL":        {BaseURL: "ftp://host/v1"},
		"BaseURL names":  {BaseURL: "http:///v1"},
		"BaseURL must":   {BaseURL: "https://user:hunter2hunter2@host/v1"},
		"BaseURL must n": {BaseURL: "https://host/v1?key=hunter2hunter2"},
		"BaseURL is not": {BaseURL: "http://ho st:hunter2hunter2/"},
		"APIKey":         {APIKey: "hunter2hunter2\n"},
		"Headers":        {Headers: map[string]openai.Secret{"X Y": "v"}},
		"Headers, the":   {Headers: map[string]openai.Secret{"X-Y": "hunter2hunter2\r\n"}},
		"UserAgent":      {UserAgent: "a\nb"},
		"MaxAnswerBytes": {MaxAnswerBytes: -1},
		"MaxEventBytes":  {MaxEventBytes: -1},
		"MaxIdleConns":   {MaxIdleConns: -1},
		"Endpoints":      {Endpoints: []string{"/v1/messages"}},
	} {
		_, err := openai.New(config)
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("got %v, want an error naming %s", err, field)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error quotes a secret: %v", err)
		}
	}
	if _, err := openai.New(openai.Config{}); err != nil {
		t.Errorf("the zero Config: %v", err)
	}
}

func TestSecretPrintsAsNothingElse(t *testing.T) {
	t.Parallel()
	const secret = openai.Secret("hunter2hunter2")
	config := openai.Config{APIKey: secret, Headers: map[string]openai.Secret{"api-key": secret}}
	provider, err := openai.New(config)
	if err != nil {
		t.Fatal(err)
	}
	holder := struct{ provider *openai.Provider }{provider}
	var printed []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		for _, value := range []any{secret, config, &config, provider, *provider, holder, &holder, []openai.Secret{secret}} {
			printed = append(printed, fmt.Sprintf(verb, value))
		}
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", secret, "headers", config.Headers)
	marshalled, err := json.Marshal(map[string]any{"key": secret, "headers": config.Headers})
	if err != nil {
		t.Fatal(err)
	}
	printed = append(printed, log.String(), string(marshalled), secret.String())
	for _, s := range printed {
		lower := strings.ToLower(s)
		if strings.Contains(lower, "hunter2") || strings.Contains(lower, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("the secret shows: %s", s)
		}
	}
	if openai.Secret("").String() != "" {
		t.Error("an empty secret should show that it is empty")
	}
}
