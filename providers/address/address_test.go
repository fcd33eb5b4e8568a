package address_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers/address"
)

const azure = "https://res.openai.azure.com/openai/deployments/{model}/{endpoint}?api-version=2025-04-01-preview"

func Example() {
	t, _ := address.Parse(azure)
	url, _ := t.Fill("gpt-5", "/chat/completions", "")
	fmt.Println(url)
	// Output: https://res.openai.azure.com/openai/deployments/gpt-5/chat/completions?api-version=2025-04-01-preview
}

func TestFill(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ template, model, endpoint, query, want string }{
		{"http://h/{endpoint}", "m", "/embeddings", "", "http://h/embeddings"},
		{"http://h/{endpoint}", "", "/embeddings", "alt=sse", "http://h/embeddings?alt=sse"},
		{"http://h/{endpoint}?k=v", "m", "x", "alt=sse", "http://h/x?k=v&alt=sse"},
		{"http://h/{model}", "a/b?c#d e%", "", "", "http://h/a%2Fb%3Fc%23d%20e%25"},
		{"http://h/x?m={model}&e={endpoint}", "a&b=c", "chat/completions", "", "http://h/x?m=a%26b%3Dc&e=chat%2Fcompletions"},
		{"http://h/{model}/{model}", "{endpoint}", "x", "", "http://h/%7Bendpoint%7D/%7Bendpoint%7D"},
		{"http://h/fixed", "..", "x", "", "http://h/fixed"},
	} {
		template, err := address.Parse(c.template)
		if err != nil {
			t.Errorf("%s: %v", c.template, err)
			continue
		}
		if got, err := template.Fill(c.model, c.endpoint, c.query); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.template, got, err, c.want)
		}
	}
}

// A caller names the model: it must not lead elsewhere.
func TestModelsThatLeadElsewhere(t *testing.T) {
	t.Parallel()
	template, err := address.Parse(azure)
	if err != nil {
		t.Fatal(err)
	}
	for _, model := range []string{"", ".", ".."} {
		if got, err := template.Fill(model, "x", ""); !errors.Is(err, address.ErrModel) {
			t.Errorf("%q: got %q, %v", model, got, err)
		}
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"https://{resource}.azure.com/{endpoint}": "has {resource}: expected {model} or {endpoint}",
		"https://{model}.azure.com/{endpoint}":    "must name its host",
		"https://h{endpoint}/x":                   "must name its host",
		"https://h":                               "must name its host",
		"https://h/{model":                        "has a brace",
		"https://h/{{model}}":                     "has a brace",
		"ftp://h/{endpoint}":                      "must begin with http",
		"{endpoint}":                              "must begin with http",
		"https:///{endpoint}":                     "names no host",
		"https://user:hunter2@h/{endpoint}":       "must not carry a user",
		"https://h/{endpoint}#x":                  "must not carry a fragment",
		"https://h/%zz?hunter2":                   "is not a URL",
	} {
		_, err := address.Parse(s)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want %q", s, err, want)
		}
	}
}

func TestAQueryDoesNotPrint(t *testing.T) {
	t.Parallel()
	template, err := address.Parse("https://h/{endpoint}?key=hunter2")
	if err != nil || fmt.Sprint(template) != "https://h/{endpoint}" {
		t.Errorf("got %v, %v", template, err)
	}
}
