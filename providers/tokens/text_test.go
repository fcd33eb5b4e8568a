package tokens

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers"
)

// Of a long text parts are counted, whatever its length. Printed is the error.
func TestLongTexts(t *testing.T) {
	t.Parallel()
	prompts := realText(t)
	exact := o200k().count([]byte(prompts))
	for _, copies := range []int{1, 10, 300} {
		body, err := json.Marshal(map[string]string{"input": strings.Repeat(prompts, copies)})
		if err != nil {
			t.Fatal(err)
		}
		counted := 0
		r := read(providers.Embeddings, body, func(s []byte) int {
			counted += len(s)
			return o200k().count(s)
		})
		off := float64(r.text.tokens)/float64(exact*copies) - 1
		t.Logf("%d KiB: %+.1f%%, of %d KiB", len(body)>>10, 100*off, counted>>10)
		if max(off, -off) > 0.08 || counted > 56<<10 {
			t.Errorf("%d KiB: an error of %.3f, want at most 0.08; counted %d bytes", len(body)>>10, off, counted)
		}
	}
}

// Texts in many small pieces are counted in part like those in one.
func TestManySmallTexts(t *testing.T) {
	t.Parallel()
	const n = 200_000
	body := []byte(`{"input":[` + strings.Repeat(`"seven small words are in this one",`, n) + `"x"]}`)
	counted := 0
	r := read(providers.Embeddings, body, func(s []byte) int {
		counted += len(s)
		return o200k().count(s)
	})
	if off := float64(r.text.tokens)/(7*n) - 1; max(off, -off) > 0.08 || counted > 56<<10 {
		t.Errorf("an error of %.3f, want at most 0.08; counted %d bytes", off, counted)
	}
}

// realText is all of the real prompts, as long as it takes to be cut.
func realText(t *testing.T) string {
	t.Helper()
	file, err := os.ReadFile("../../examples/prompts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, found := range regexp.MustCompile(`"content": ("(?:[^"\\]|\\.)*")`).FindAllSubmatch(file, -1) {
		var prompt string
		if err := json.Unmarshal(found[1], &prompt); err != nil {
			t.Fatal(err)
		}
		all.WriteString(prompt + " ")
	}
	return all.String()
}

func TestModelsAreBounded(t *testing.T) {
	t.Parallel()
	e := New()
	e.Learn("kept", Estimate{counted: 100}, providers.Usage{Known: true, InputTokens: 300, OutputTokens: 1})
	for i := range 10 * maxModels {
		e.Learn(strings.Repeat("m", i), Estimate{counted: 100}, providers.Usage{Known: true, InputTokens: 100, OutputTokens: 1})
		e.Learn("kept", Estimate{counted: 100}, providers.Usage{Known: true, InputTokens: 300, OutputTokens: 1})
	}
	if len(e.models) != maxModels || e.models["kept"] == nil {
		t.Errorf("%d models, want %d, and the one in use among them", len(e.models), maxModels)
	}
}

// A report that cannot be true moves a model only so far.
func TestAbsurdUsage(t *testing.T) {
	t.Parallel()
	m := newModel()
	for range 1000 {
		m.learn(Estimate{counted: 100}, providers.Usage{InputTokens: 1 << 60, OutputTokens: 1 << 60})
	}
	if got := m.inputOf(100); got > 100*maxRatio {
		t.Errorf("got %d, want at most %d", got, 100*maxRatio)
	}
	if got := m.outputOf(100, 0); got > maxAnswer {
		t.Errorf("got an answer of %d, want at most %d", got, maxAnswer)
	}
	m.learn(Estimate{}, providers.Usage{InputTokens: -5, OutputTokens: -5})
	if got := m.inputOf(100); got < 100 {
		t.Errorf("got %d after negative usage", got)
	}
}
