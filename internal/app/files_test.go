package app

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/redact"
)

func newLineRedactor(t *testing.T, rules ...redact.Rule) lineRedactor {
	t.Helper()
	r, err := redact.NewRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	return lineRedactor{r}
}

// Of a line of a batch the body is redacted, and nothing of what was there twice is kept.
func TestLinesAreRedacted(t *testing.T) {
	t.Parallel()
	r := newLineRedactor(t, redact.Rule{Pattern: `\d{4}`, Replace: "*"})
	for sent, want := range map[string]string{
		`{"custom_id":"a","method":"POST","url":"/v1/x","body":{"model":"m-2024","messages":["call 1234"]}}`: `{"custom_id":"a","method":"POST","url":"/v1/x","body":{"model":"m-2024","messages":["call *"]}}`,
		`{"body":{"a":"5678"}, "body":{"a":"<1234>"}, "custom_id":"5678","custom_id":"b"}`:                   `{"custom_id":"b","method":"","url":"","body":{"a":"<*>"}}`,
	} {
		got, err := r.redact(t.Context(), "acme", []byte(sent))
		if err != nil || string(got) != want {
			t.Errorf("%s:\n got %s, %v\nwant %s", sent, got, err, want)
		}
	}
}

// What cannot be redacted in all its parts is refused, and not quoted.
func TestLinesThatCannotBeRedactedAreRefused(t *testing.T) {
	t.Parallel()
	r := newLineRedactor(t, redact.Rule{Pattern: `\d{4}`, Replace: "*"})
	for _, sent := range []string{
		`1234`, `not JSON 1234`, `[]`, `{"body":{}} {"body":{}}`, `{"body":{}}}`, `{"body":"1234"}`, `{"custom_id":"a"}`,
		`{"body":{},"more":"1234"}`, `{"custom_id":1234,"body":{}}`,
		`{"custom_id":"call 1234","body":{}}`, `{"url":"/1234","body":{}}`, `{"method":"1234","body":{}}`,
	} {
		got, err := r.redact(t.Context(), "acme", []byte(sent))
		if !errors.Is(err, &jobs.Error{Code: jobs.CodeInvalidField}) || got != nil || strings.Contains(err.Error(), "1234") {
			t.Errorf("%s: got %s, %v, want it refused", sent, got, err)
		}
	}
}

// remodel is a redactor that changes the model.
type remodel struct{}

func (remodel) Redact(_ context.Context, s jobs.Sent) (jobs.Sent, error) {
	s.Request = []byte(`{"model":"other"}`)
	return s, nil
}

func TestARedactedLineNamesTheSameModel(t *testing.T) {
	t.Parallel()
	_, err := lineRedactor{remodel{}}.redact(t.Context(), "acme", []byte(`{"body":{"model":"m"}}`))
	if err == nil || errors.Is(err, &jobs.Error{Code: jobs.CodeInvalidField}) {
		t.Errorf("got %v, want a failure that is not the caller's", err)
	}
}
