package openai

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestWordsAreCutAlikeHoweverTheyCome(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "one", " one", "one two", "one  two\n\nthree ", strings.Repeat("x", 100), "日本語の文章です " + strings.Repeat("長", 90), "\n\n\n",
	} {
		var whole words
		want := append(whole.add(text), whole.rest())
		var byRune words
		var got []string
		for _, r := range text {
			got = append(got, byRune.add(string(r))...)
		}
		got = append(got, byRune.rest())
		if !slices.Equal(got, want) || strings.Join(got, "") != text {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

const answered = `{"status":"completed","output":[
	{"id":"rs_1","type":"reasoning","summary":[]},
	{"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[
		{"type":"output_text","text":"one two three","annotations":[],"logprobs":[]},{"type":"refusal","refusal":"no more"}]},
	{"id":"fc_1","type":"function_call","status":"completed","call_id":"c","name":"f","arguments":"{\"a\": 1}"}]}`

// The pieces of the answers answered and translated.
var (
	nativePieces = []string{
		`{"type":"response.created","response":{}}`, `{"type":"response.output_item.added","output_index":0,"item":{"id":"rs_1","type":"reasoning"}}`,
		`{"type":"response.reasoning_summary_text.delta","delta":"hm"}`,
		`{"type":"response.output_item.done","output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[]}}`,
		`{"type":"response.output_item.added","output_index":1,"item":{"id":"msg_1","type":"message","role":"assistant","content":[]}}`,
		`{"type":"response.content_part.added","output_index":1,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}`,
		`{"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"one t"}`,
		`{"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"wo th"}`,
		`{"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"ree"}`,
		`{"type":"response.content_part.added","output_index":1,"content_index":1,"part":{"type":"refusal","refusal":""}}`,
		`{"type":"response.refusal.delta","output_index":1,"content_index":1,"delta":"no"}`,
	}
	chatPieces = []string{
		`{"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}`, `{"id":"1","choices":[{"index":0,"delta":{"content":"one t"}}]}`,
		`{"id":"1","choices":[{"index":0,"delta":{"content":"wo"}}]}`,
		`{"id":"1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}]}}]}`,
		`{"id":"1","choices":[{"index":0,"delta":{"content":" more"}}]}`,
	}
)

const translated = `{"output":[{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"output_text","text":"one two more"}]},
	{"id":"fc_1","type":"function_call","name":"f","arguments":"{}"}]}`

// eventsOf are the numbers, names and pieces of text of a script.
func eventsOf(t *testing.T, after int64, tell func(*script)) (all []string) {
	t.Helper()
	tell(newScript(after, func(name string, data []byte) { all = append(all, lineOf(t, name, data)) }))
	return all
}

func lineOf(t *testing.T, name string, data []byte) string {
	t.Helper()
	var e struct {
		Type           string `json:"type"`
		SequenceNumber int64  `json:"sequence_number"`
		Delta          string `json:"delta"`
	}
	if err := json.Unmarshal(data, &e); err != nil || e.Type != name {
		t.Errorf("event %s: %s: %v", name, data, err)
	}
	return fmt.Sprintf("%d %s %s", e.SequenceNumber, strings.TrimPrefix(name, "response."), e.Delta)
}

func TestAScriptIsToldFromAnyEventOn(t *testing.T) {
	t.Parallel()
	o, err := readObject([]byte(answered))
	if err != nil {
		t.Fatal(err)
	}
	tell := func(s *script) {
		if err := s.output(o); err != nil {
			t.Error(err)
		}
	}
	all := eventsOf(t, nothingTold, tell)
	want := []string{
		"0 output_item.added ", "1 output_item.done ",
		"2 output_item.added ", "3 content_part.added ", "4 output_text.delta one", "5 output_text.delta  two", "6 output_text.delta  three",
		"7 output_text.done ", "8 content_part.done ", "9 content_part.added ", "10 refusal.delta no", "11 refusal.delta  more",
		"12 refusal.done ", "13 content_part.done ", "14 output_item.done ",
		`15 output_item.added `, `16 function_call_arguments.delta {"a":`, `17 function_call_arguments.delta  1}`,
		"18 function_call_arguments.done ", "19 output_item.done ",
	}
	if !slices.Equal(all, want) {
		t.Fatalf("got %q,\nwant %q", all, want)
	}
	for n := range want {
		if got := eventsOf(t, int64(n), tell); !slices.Equal(got, want[n+1:]) {
			t.Errorf("after %d: got %q", n, got)
		}
	}
}

// live is told by pieces, and the rest once it is whole: together that is the script of
// the whole, from any event on.
func TestPiecesAndTheWholeAreOneScript(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, whole string
		pieces      []string
		least       int
	}{{"native", answered, nativePieces, 6}, {"chat", translated, chatPieces, 3}, {"nothing", answered, nil, 0}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			whole, err := readObject([]byte(c.whole))
			if err != nil {
				t.Fatal(err)
			}
			want := eventsOf(t, nothingTold, func(s *script) { _ = s.output(whole) })
			for heard := range len(c.pieces) + 1 {
				for after := range want {
					got := eventsOf(t, int64(after)-1, func(s *script) { tellInPieces(t, s, c.pieces[:heard], whole) })
					if !slices.Equal(got, want[after:]) {
						t.Fatalf("%d pieces, after %d: got %q,\nwant %q", heard, after-1, got, want[after:])
					}
				}
			}
			if told := eventsOf(t, nothingTold, func(s *script) { tellInPieces(t, s, c.pieces, nil) }); len(told) < c.least {
				t.Errorf("of the pieces only %q is told", told)
			}
		})
	}
}

func tellInPieces(t *testing.T, s *script, pieces []string, whole object) {
	t.Helper()
	l := live{script: s}
	for _, piece := range pieces {
		l.add(json.RawMessage(piece))
	}
	if whole == nil {
		return
	}
	rest := s.again()
	if err := rest.output(whole); err != nil {
		t.Error(err)
	}
	if err := rest.end(); err != nil {
		t.Error(err)
	}
}

func TestAnotherAnswerIsNoContinuation(t *testing.T) {
	t.Parallel()
	whole, err := readObject([]byte(`{"output":[{"id":"msg_1","type":"message","content":[{"type":"output_text","text":"one two three"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, told := range []string{"one too ", "one two three four "} {
		s := newScript(nothingTold, func(string, []byte) {})
		l := live{script: s}
		l.add(json.RawMessage(`{"id":"1","choices":[{"index":0,"delta":{"content":"` + told + `"}}]}`))
		rest := s.again()
		_ = rest.output(whole)
		if err := rest.end(); err != errOtherAnswer { //nolint:errorlint // returned as it is
			t.Errorf("%q: got %v", told, err)
		}
	}
}
