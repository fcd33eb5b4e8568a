package redact_test

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/redact"
)

func rulesOf(t *testing.T, list ...redact.Rule) redact.Rules {
	t.Helper()
	r, err := redact.NewRules(list)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRulesRewriteStringValues(t *testing.T) {
	t.Parallel()
	r := rulesOf(t, redact.Rule{Pattern: "secret", Replace: "[gone]"})
	for name, c := range map[string]struct{ in, want string }{
		"nothing to do":     {` { "a" : [ 1.50, "x" ] } `, ` { "a" : [ 1.50, "x" ] } `},
		"a value":           {`{"a":"my secret"}`, `{"a":"my [gone]"}`},
		"an escaped value":  {`{"a":"\u0073ecret\n","b":"\/"}`, `{"a":"[gone]\n","b":"\/"}`},
		"in an array":       {`{"a":["secret", 1,"secret"]}`, `{"a":["[gone]", 1,"[gone]"]}`},
		"deep":              {`{"a":{"b":[{"c":"secret"}]}}`, `{"a":{"b":[{"c":"[gone]"}]}}`},
		"a key":             {`{"secret":1,"b":{"secret":"secret"}}`, `{"secret":1,"b":{"secret":"[gone]"}}`},
		"a key like a text": {`{"a":"b","secret":"c"}`, `{"a":"b","secret":"c"}`},
		"the model":         {`{"model":"secret","a":"secret"}`, `{"model":"secret","a":"[gone]"}`},
		"another model":     {`{"a":{"model":"secret"},"b":["model","secret"]}`, `{"a":{"model":"[gone]"},"b":["model","[gone]"]}`},
		"after the model":   {`{"model":"m","a":"secret","model2":"secret"}`, `{"model":"m","a":"[gone]","model2":"[gone]"}`},
		"other values":      {`{"a":null,"b":true,"c":1e400,"d":"secret"}`, `{"a":null,"b":true,"c":1e400,"d":"[gone]"}`},
		"after empty ones":  {`{"a":{},"b":[],"c":"secret"}`, `{"a":{},"b":[],"c":"[gone]"}`},
		"unicode and html":  {`{"a":"é<b>&secret\u2028"}`, "{\"a\":\"é<b>&[gone]\\u2028\"}"},
	} {
		got, err := r.Redact(t.Context(), jobs.Sent{Request: json.RawMessage(c.in)})
		if err != nil || string(got.Request) != c.want {
			t.Errorf("%s: got %s, %v, want %s", name, got.Request, err, c.want)
		}
	}
}

func TestRulesRewriteMetadataAndUser(t *testing.T) {
	t.Parallel()
	r := rulesOf(t, redact.Rule{Pattern: `\w+@\w+\.org`, Replace: "[mail]"})
	metadata := map[string]string{"mail": "ada@example.org", "bob@example.org": "x"}
	sent := jobs.Sent{Tenant: "ada@example.org", Request: json.RawMessage(`{}`), Metadata: metadata, User: "ada@example.org"}
	got, err := r.Redact(t.Context(), sent)
	want := map[string]string{"mail": "[mail]", "bob@example.org": "x"}
	if err != nil || !maps.Equal(got.Metadata, want) || got.User != "[mail]" || got.Tenant != sent.Tenant {
		t.Errorf("got %+v, %v", got, err)
	}
	if metadata["mail"] != "ada@example.org" {
		t.Error("what was sent was changed")
	}
	if got, err := r.Redact(t.Context(), jobs.Sent{Request: json.RawMessage(`{}`)}); err != nil || got.Metadata != nil {
		t.Errorf("without metadata: got %+v, %v", got, err)
	}
}

// Rules see what those before them left, and can use groups.
func TestRulesInOrder(t *testing.T) {
	t.Parallel()
	r := rulesOf(t,
		redact.Rule{Pattern: `(?i)card (\d{4})\d+`, Replace: "card $1****"},
		redact.Rule{Pattern: `\*+`, Replace: "$$"},
	)
	got, err := r.Redact(t.Context(), jobs.Sent{Request: json.RawMessage(`{"a":"Card 4111111111111111"}`)})
	if want := `{"a":"card 4111$"}`; err != nil || string(got.Request) != want {
		t.Errorf("got %s, %v, want %s", got.Request, err, want)
	}
}

func TestWhatIsNotJSONIsNotPassedOn(t *testing.T) {
	t.Parallel()
	r := rulesOf(t, redact.Rule{Pattern: "secret", Replace: "x"})
	for _, bad := range []string{`{"a":"secret"`, `{"a":"secret",,"b":"secret"}`, `{"a":secret}`} {
		got, err := r.Redact(t.Context(), jobs.Sent{Request: json.RawMessage(bad)})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %s, %v, want an error that does not quote it", bad, got.Request, err)
		}
	}
}

func TestWrongRulesAreNamed(t *testing.T) {
	t.Parallel()
	good := redact.Rule{Pattern: "a", Replace: "b"}
	for pattern, want := range map[string]string{
		"":      "rule 2: the pattern is empty",
		"a*":    "rule 2: the pattern fits the empty string",
		"a(":    "rule 2: the pattern is not RE2: missing closing )",
		`(?=a)`: "rule 2: the pattern is not RE2: invalid or unsupported Perl syntax",
	} {
		_, err := redact.NewRules([]redact.Rule{good, {Pattern: pattern}})
		if e, ok := errors.AsType[*redact.RuleError](err); !ok || e.Index != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", pattern, err, want)
		}
	}
	if _, err := redact.NewRules(make([]redact.Rule, redact.MaxRules+1)); err == nil {
		t.Error("any number of rules was taken")
	}
}

// Whatever the request, what comes out is JSON, has the same keys, numbers and
// model, and no string value that a rule fits.
func FuzzRules(f *testing.F) {
	r, err := redact.NewRules([]redact.Rule{{Pattern: "s(e)?cret", Replace: `"\$1`}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`{"model":"secret","messages":[{"role":"user","content":"a secret\u0000"}]}`)
	f.Add(`{"secret":{"model":["secret",{"secret":-1.5e3}]},"b":"\ud83d\ude00scret"}`)
	f.Add(` {"a" :"s\u0065cret" , "b":[]}`)
	f.Fuzz(func(t *testing.T, doc string) {
		var before map[string]any
		if !json.Valid([]byte(doc)) || json.Unmarshal([]byte(doc), &before) != nil {
			return
		}
		got, err := r.Redact(t.Context(), jobs.Sent{Request: json.RawMessage(doc)})
		if err != nil {
			t.Fatalf("%q: %v", doc, err)
		}
		var after map[string]any
		if err := json.Unmarshal(got.Request, &after); err != nil {
			t.Fatalf("%q became %q: %v", doc, got.Request, err)
		}
		if !strings.Contains(doc, "cret") && !strings.Contains(doc, `\`) && string(got.Request) != doc {
			t.Fatalf("%q became %q without need", doc, got.Request)
		}
		compare(t, before, after, true)
	})
}

// compare fails the test unless after is before with strings rewritten.
func compare(t *testing.T, before, after any, outermost bool) {
	t.Helper()
	switch b := before.(type) {
	case map[string]any:
		a, ok := after.(map[string]any)
		if !ok || len(a) != len(b) {
			t.Fatalf("%v became %v", before, after)
		}
		for k := range b {
			if _, isText := b[k].(string); outermost && k == "model" && isText {
				if a[k] != b[k] {
					t.Fatalf("the model %v became %v", b[k], a[k])
				}
				continue
			}
			compare(t, b[k], a[k], false)
		}
	case []any:
		a, ok := after.([]any)
		if !ok || len(a) != len(b) {
			t.Fatalf("%v became %v", before, after)
		}
		for i := range b {
			compare(t, b[i], a[i], false)
		}
	case string:
		if a, ok := after.(string); !ok || strings.Contains(a, "secret") || strings.Contains(a, "scret") {
			t.Fatalf("%q became %v", b, after)
		}
	default:
		if before != after {
			t.Fatalf("%v became %v", before, after)
		}
	}
}
