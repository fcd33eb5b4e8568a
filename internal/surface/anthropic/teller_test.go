package anthropic

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// shown is an answer in pieces, and as it was kept.
type shown struct {
	name   string
	pieces []string
	kept   string
	// differs is what the client has from so many pieces on, in place of what was kept:
	// text had no place when it came.
	differs string
	from    int
}

func lines(s string) []string { return strings.Split(strings.TrimSpace(s), "\n") }

var answers = []shown{
	{
		name: "events of Messages",
		pieces: lines(`
{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"usage":{"input_tokens":7,"output_tokens":1}}}
{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}
{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"let me "}}
{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"see"}}
{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}
{"type":"content_block_stop","index":0}
{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}
{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"It is \"w"}}
{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"type":"char_location","cited_text":"w"}}}
{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"arm\" \ud83d\ude00"}}
{"type":"content_block_stop","index":1}
{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"weather","input":{}}}
{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"city\": \"Ka"}}
{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"runa\"}"}}
{"type":"content_block_stop","index":2}
{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_2","name":"clock","input":{}}}
{"type":"content_block_stop","index":3}
{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":7,"output_tokens":9}}
{"type":"message_stop"}`),
		kept: `{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[
			{"type":"thinking","thinking":"let me see","signature":"c2ln"},
			{"type":"text","text":"It is \"warm\" 😀","citations":[{"type":"char_location","cited_text":"w"}]},
			{"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":"Karuna"}},
			{"type":"tool_use","id":"toolu_2","name":"clock","input":{}}],
			"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":9}}`,
	},
	{
		name: "chunks of a chat completion",
		pieces: lines(`
{"id":"c1","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}
{"id":"c1","model":"m","choices":[{"index":0,"delta":{"content":"Hel\ud83d\ude00"}}]}
{"id":"c1","model":"m","choices":[{"index":0,"delta":{"content":"lo"}}]}
{"id":"c1","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"weather","arguments":""}}]}}]}
{"id":"c1","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}}]}
{"id":"c1","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"Oslo\"}"}}]}}]}
{"id":"c1","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"name":"clock","arguments":"{}"}}]}}]}
{"id":"c1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}
{"id":"c1","model":"m","choices":[],"usage":{"prompt_tokens":3}}`),
		kept: `{"id":"msg_c1","type":"message","role":"assistant","model":"m","content":[
			{"type":"text","text":"Hel😀lo","citations":null},
			{"type":"tool_use","id":"call_1","name":"weather","input":{"city":"Oslo"}},
			{"type":"tool_use","id":"toolu_c1_1","name":"clock","input":{}}],
			"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":4}}`,
	},
	{
		name: "tool calls side by side, the second without an index of its own",
		pieces: lines(`
{"id":"c2","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"id":"a","function":{"name":"one","arguments":"{\"n\":"}}]}}]}
{"id":"c2","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"id":"b","function":{"name":"two","arguments":"{\"m\":2}"}}]}}]}
{"id":"c2","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}}]}`),
		kept: `{"id":"msg_c2","model":"m","content":[
			{"type":"tool_use","id":"a","name":"one","input":{"n":1}},
			{"type":"tool_use","id":"b","name":"two","input":{"m":2}}],
			"stop_reason":"tool_use","usage":{"input_tokens":3,"output_tokens":4}}`,
	},
	{
		name: "text behind a tool call",
		pieces: lines(`
{"id":"c3","model":"m","choices":[{"index":0,"delta":{"content":"first"}}]}
{"id":"c3","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"one","arguments":"{}"}}]}}]}
{"id":"c3","model":"m","choices":[{"index":0,"delta":{"content":", then"}}]}`),
		kept: `{"id":"msg_c3","model":"m","content":[{"type":"text","text":"first, then"},{"type":"tool_use","id":"a","name":"one","input":{}}],
			"stop_reason":"tool_use","usage":{"input_tokens":3,"output_tokens":4}}`,
		from: 2,
		differs: `{"id":"msg_c3","model":"m","content":[{"type":"text","text":"first"},{"type":"tool_use","id":"a","name":"one","input":{}},
			{"type":"text","text":", then"}],"stop_reason":"tool_use","usage":{"input_tokens":3,"output_tokens":4}}`,
	},
	{
		name: "thoughts in chunks, usage not known",
		pieces: lines(`
{"id":"c4","model":"m","choices":[{"index":0,"delta":{"reasoning_content":"hm","content":null}}]}
{"id":"c4","model":"m","choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[]},{"type":"text","text":"yes"}]}}]}
{"id":"c4","model":"m","choices":[{"index":1,"delta":{"content":"of another choice"}}]}`),
		kept: `{"id":"msg_c4","model":"m","content":[{"type":"text","text":"yes"}],"stop_reason":"end_turn","usage":null}`,
	},
	{
		name: "blocks that are not known come whole",
		pieces: lines(`
{"type":"message_start","message":{"id":"msg_5","model":"claude","content":[],"usage":{"input_tokens":7,"output_tokens":1}}}
{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s","name":"search","input":{"q":"x"}}}
{"type":"content_block_stop","index":0}
{"type":"content_block_start","index":1,"content_block":{"type":"future","id":"f"}}
{"type":"content_block_delta","index":1,"delta":{"type":"future_delta"}}
{"type":"content_block_stop","index":1}
{"type":"message_future"}`),
		kept: `{"id":"msg_5","model":"claude","content":[{"type":"server_tool_use","id":"s","name":"search","input":{"q":"x"}},{"type":"future","id":"f"}],
			"stop_reason":"end_turn","usage":{"input_tokens":7,"output_tokens":9}}`,
	},
	{
		name: "an empty answer", pieces: nil,
		kept: `{"id":"msg_6","model":"claude","content":[],"stop_reason":"end_turn","usage":{"input_tokens":7,"output_tokens":0}}`,
	},
}

// TestTellerWhereverItIsCut: however many of its pieces arrive before the end, a client
// has the answer that was kept, and its events are in order.
func TestTellerWhereverItIsCut(t *testing.T) {
	t.Parallel()
	for _, a := range answers {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			for n := range len(a.pieces) + 1 {
				var c client
				got := tellAll(t, &c, a.pieces[:n], a.kept)
				want := a.kept
				if a.differs != "" && n >= a.from {
					want = a.differs
				}
				compare(t, got, want)
			}
		})
	}
}

// tellAll has a teller tell of pieces, then the rest.
func tellAll(t *testing.T, c *client, pieces []string, kept string) *told {
	t.Helper()
	var tell teller
	for _, piece := range pieces {
		if err := c.readAll(tell.add(json.RawMessage(piece))); err != nil {
			t.Fatalf("at %s: %v", piece, err)
		}
	}
	rest, err := tell.rest(json.RawMessage(kept))
	if err != nil {
		t.Fatalf("rest after %d pieces: %v", len(pieces), err)
	}
	if err := c.readAll(rest); err != nil {
		t.Fatalf("rest after %d pieces: %v", len(pieces), err)
	}
	if !c.closed {
		t.Fatalf("after %d pieces and the rest the message has not ended", len(pieces))
	}
	return c.message
}

func compare(t *testing.T, got *told, kept string) {
	t.Helper()
	var want told
	if err := json.Unmarshal([]byte(kept), &want); err != nil {
		t.Fatal(err)
	}
	if want.Usage == nil {
		want.Usage = &toldCounts{}
	}
	for _, content := range [][]toldPart{got.Content, want.Content} {
		for i := range content {
			if content[i].Input != nil {
				content[i].Input = json.RawMessage(squeeze(string(content[i].Input)))
			}
		}
	}
	if !reflect.DeepEqual(*got, want) {
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		t.Fatalf("the client has\n%s (%+v), want\n%s", a, *got, b)
	}
}

// TestTellerShowsAtOnce: pieces are told as they come, not kept for the end.
func TestTellerShowsAtOnce(t *testing.T) {
	t.Parallel()
	for _, a := range answers[:2] {
		var tell teller
		told := 0
		for _, piece := range a.pieces {
			told += len(tell.add(json.RawMessage(piece)))
		}
		rest, err := tell.rest(json.RawMessage(a.kept))
		if err != nil || len(rest) > 3 {
			t.Errorf("%s: %d events came with the pieces and %d with the rest (%v), want all but the end with the pieces",
				a.name, told, len(rest), err)
		}
	}
}

// TestTellerOfHalfACharacter: some servers cut an answer between the two halves of a
// character (RFC 8259, section 7). It is the same answer all the same.
func TestTellerOfHalfACharacter(t *testing.T) {
	t.Parallel()
	var tell teller
	var got []event
	for _, half := range []string{`\ud83d`, `\ude00`} {
		got = append(got, tell.add(json.RawMessage(`{"id":"c","choices":[{"index":0,"delta":{"content":"`+half+`"}}]}`))...)
	}
	if _, err := tell.rest(json.RawMessage(`{"content":[{"type":"text","text":"😀"}],"stop_reason":"end_turn"}`)); err != nil {
		t.Errorf("after %d events: %v", len(got), err)
	}
}

// TestTellerOfAnotherAnswer: what was shown cannot be taken back.
func TestTellerOfAnotherAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ piece, kept string }{
		"another text": {
			`{"id":"c","choices":[{"index":0,"delta":{"content":"Good day"}}]}`,
			`{"content":[{"type":"text","text":"Good morning"}]}`,
		},
		"no text": {
			`{"id":"c","choices":[{"index":0,"delta":{"content":"Good day"}}]}`,
			`{"content":[{"type":"tool_use","id":"a","name":"one","input":{}}]}`,
		},
		"another input": {
			`{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"one","arguments":"{\"n\":1}"}}]}}]}`,
			`{"content":[{"type":"tool_use","id":"a","name":"one","input":{"n":2}}]}`,
		},
		"no message": {`{"id":"c","choices":[]}`, `[]`},
	} {
		var tell teller
		tell.add(json.RawMessage(c.piece))
		if events, err := tell.rest(json.RawMessage(c.kept)); !errors.Is(err, errDiffers) {
			t.Errorf("%s: got %d events and %v, want %v", name, len(events), err, errDiffers)
		}
	}
}

// FuzzTeller: whatever pieces come, what is told is in the order of the format; and if
// the answer can be told to its end, all of its text was.
func FuzzTeller(f *testing.F) {
	for _, a := range answers {
		f.Add(strings.Join(append(slices.Clone(a.pieces), strings.ReplaceAll(a.kept, "\n", " ")), "\n"))
	}
	f.Fuzz(func(t *testing.T, input string) {
		pieces := strings.Split(input, "\n")
		kept := json.RawMessage(pieces[len(pieces)-1])
		var tell teller
		var c client
		for _, piece := range pieces[:len(pieces)-1] {
			if err := c.readAll(tell.add(json.RawMessage(piece))); err != nil {
				t.Fatalf("at %s: %v", piece, err)
			}
		}
		stopped := tell.stopped
		rest, err := tell.rest(kept)
		if err != nil {
			return
		}
		if err := c.readAll(rest); err != nil {
			t.Fatalf("the rest: %v", err)
		}
		if !c.closed {
			t.Fatal("the message has not ended")
		}
		if m, err := readMessage(kept); err == nil && !stopped {
			compareTexts(t, m, c.message)
		}
	})
}

func compareTexts(t *testing.T, kept keptMessage, got *told) {
	t.Helper()
	var want, have int
	for _, b := range kept.content {
		if b.Type == kindText {
			want += len(b.Text)
		}
	}
	for _, b := range got.Content {
		if b.Type == kindText {
			have += len(b.Text)
		}
	}
	if want != have {
		t.Fatalf("the client has %d bytes of text, %d were kept", have, want)
	}
}
