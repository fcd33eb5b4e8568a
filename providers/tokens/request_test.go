package tokens

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers"
)

// words counts tokens in a way that can be checked by eye.
func words(s []byte) int { return len(bytes.Fields(s)) }

func TestWhatCounts(t *testing.T) {
	t.Parallel()
	const chat, embeddings, messages, responses = providers.ChatCompletions, providers.Embeddings, messages, "/v1/responses"
	for _, c := range []struct {
		name, endpoint, body string
		text, other          int64
	}{
		{"a message", chat, `{"model":"a b c","messages":[{"role":"user","content":"one two three"}]}`, 3, perMessage},
		{
			"messages and parts", chat,
			`{"messages":[{"role":"system","content":"one"},{"role":"user","name":"two","content":[{"type":"text","text":"three four"}]}]}`,
			4, 2 * perMessage,
		},
		{"what no model sees", chat, `{"user":"x","metadata":{"a":"b c d"},"stop":["x"],"messages":[]}`, 0, 0},
		{
			"tool calls", chat,
			`{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function",` +
				`"function":{"name":"look","arguments":"{\"q\": \"two words\"}"}},` +
				`{"id":"c","function":{"name":"up","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"it is"}]}`,
			1 + 3 + 1 + 1 + 2, 2*perMessage + 1,
		},
		{
			"tools and a schema", chat,
			`{"tools":[{"type":"function","function":{"name":"weather","description":"of a place","parameters":{"type":"object",` +
				`"properties":{"city":{"type":"string"}},"required":["city"]}}}],` +
				`"response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":{"properties":{"yes":{"type":"boolean"}}}}}}`,
			1 + 1 + 3 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1, perTool + 2*perToolParameter,
		},
		{"an embedding", embeddings, `{"input":"one two"}`, 2, 0},
		{"embeddings", embeddings, `{"input":["one two","three"]}`, 3, 0},
		{"an embedding of tokens", embeddings, `{"input":[15, 22,7]}`, 0, 3},
		{
			"Messages", messages,
			`{"system":[{"type":"text","text":"be brief","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[` +
				`{"type":"tool_result","tool_use_id":"x","content":"forty two"}]},{"role":"assistant","content":[` +
				`{"type":"tool_use","id":"y","name":"f","input":{"city":"Paris"}}]}]}`,
			2 + 2 + 1 + 2, 2*perMessage + perToolParameter,
		},
		{
			"Responses", responses,
			`{"instructions":"be kind","input":[{"role":"user","content":[{"type":"input_text","text":"say hello"}]},` +
				`{"type":"function_call_output","call_id":"c","output":"it is done"}]}`,
			2 + 2 + 3, perMessage,
		},
		{"text as data", messages, `{"messages":[{"role":"user","content":[{"source":{"type":"text","data":"plain words here"}}]}]}`, 3, perMessage},
		{"an image elsewhere", chat, `{"messages":[{"content":[{"type":"image_url","image_url":{"url":"https://x.test/a.png"}}]}]}`, 0, unknownImage},
		{
			"an image of low detail", chat,
			`{"messages":[{"content":[{"type":"image_url","image_url":{"url":"https://x.test/a.png","detail":"low"}}]}]}`, 0, lowDetail,
		},
		{"an image of Responses", responses, `{"input":[{"content":[{"type":"input_image","detail":"low","image_url":"https://x.test/a"}]}]}`, 0, lowDetail},
		{"a file by its id", responses, `{"input":[{"content":[{"type":"input_file","file_id":"file-1"}]}]}`, 0, unknownDocument},
		{"escapes", chat, `{"messages":[{"content":"a\nb\tc\u0020d \"e\" \\"}]}`, 6, 0},
		{"spaces", chat, " {\n \"messages\" : [ {\r\n\t\"content\" : \"one two\" } ] }", 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := read(c.endpoint, []byte(c.body), words)
			if r.text.tokens != c.text || r.other != c.other {
				t.Errorf("got %d words and %d beside, want %d and %d: %s", r.text.tokens, r.other, c.text, c.other, c.body)
			}
		})
	}
}

func TestImagesCountByTheirSize(t *testing.T) {
	t.Parallel()
	picture := image.NewGray(image.Rect(0, 0, 1024, 500))
	webp := append([]byte("RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00"), 0xff, 3, 0, 0xf3, 1, 0)
	for name, encode := range map[string]func(*bytes.Buffer) error{
		"png":  func(b *bytes.Buffer) error { return png.Encode(b, picture) },
		"jpeg": func(b *bytes.Buffer) error { return jpeg.Encode(b, picture, nil) },
		"gif":  func(b *bytes.Buffer) error { return gif.Encode(b, picture, nil) },
		"webp": func(b *bytes.Buffer) error { _, err := b.Write(webp); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var file bytes.Buffer
			if err := encode(&file); err != nil {
				t.Fatal(err)
			}
			encoded := base64.StdEncoding.EncodeToString(file.Bytes())
			chat := fmt.Sprintf(`{"messages":[{"content":[{"image_url":{"url":"data:image/%s;base64,%s"}}]}]}`, name, encoded)
			if got := read(providers.ChatCompletions, []byte(chat), words); got.other != lowDetail+2*tile || got.text.tokens != 0 {
				t.Errorf("in tiles: got %d and %d words, want %d", got.other, got.text.tokens, lowDetail+2*tile)
			}
			body := fmt.Sprintf(`{"messages":[{"content":[{"type":"image","source":{"type":"base64","data":%q}}]}]}`, encoded)
			if got := read(messages, []byte(body), words); got.other != 683 || got.text.tokens != 0 {
				t.Errorf("by area: got %d and %d words, want 683", got.other, got.text.tokens)
			}
		})
	}
}

func TestTiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		w, h int
		want int64
	}{
		{1024, 1024, 765}, {2048, 4096, 1105}, {4096, 8192, 1105}, {512, 512, 255}, {1, 1, 255}, {0, 0, 765}, {100_000, 1, 765},
	} {
		if got := imageTokens(image.Config{Width: c.w, Height: c.h}, false, false); got != c.want {
			t.Errorf("%d × %d: got %d, want %d", c.w, c.h, got, c.want)
		}
	}
}

// A megabyte of base64 is not a quarter of a million tokens.
func TestFilesAreNotText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		head string
		most int64
	}{
		"a document": {"%PDF-1.7\n", 30_000}, "sound": {"ID3\x04", 1000}, "a broken image": {"\x89PNG\r\n\x1a\n", 2 * unknownImage},
	} {
		data := append([]byte(c.head), bytes.Repeat([]byte{7, 200, 31}, 350_000)...)
		body := `{"messages":[{"content":[{"file":{"file_data":"` + base64.StdEncoding.EncodeToString(data) + `"}}]}]}`
		if got, _ := Rough(providers.ChatCompletions, []byte(body)); got > c.most {
			t.Errorf("%s: got %d tokens, want at most %d", name, got, c.most)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int64{
		`{}`: 0, `{"max_tokens":50}`: 50, `{"max_completion_tokens":60}`: 60, `{"max_output_tokens":70}`: 70,
		`{"max_tokens":50,"max_completion_tokens":40}`: 40, `{"max_tokens":40,"n":3}`: 120, `{"max_tokens":null}`: 0,
		`{"max_tokens":-1}`: 0, `{"max_tokens":1e3}`: 0, `{"max_tokens":5,"n":1000000000}`: 640, `{"max_tokens":5,"n":0}`: 5,
	} {
		if _, got := Rough(providers.ChatCompletions, []byte(body)); got != want {
			t.Errorf("%s: got %d, want %d", body, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"messages":[{"role":"user","content":[{"type":"text","text":"a\u00e9\ud83d\ude00"}]}],"max_tokens":5}`)
	f.Add(`{"messages":[{"content":[{"image_url":{"url":"data:image/png;base64,iVBORw0KGgo"}}]}]`)
	f.Add(`{"input":[[[[[[1,2],"x\`)
	f.Add(strings.Repeat(`{"input":[`, 100))
	f.Add(`{"tools":[{"a":{"b":["c",{"d":1}]}}],"n":"x","":}]]`)
	f.Fuzz(func(t *testing.T, body string) {
		counted := 0
		r := read(providers.ChatCompletions, []byte(body), func(s []byte) int { counted += len(s); return len(s) })
		if r.text.tokens < 0 || r.other < 0 || r.limit < 0 || r.choices < 1 {
			t.Errorf("%d words, %d beside, limit %d, %d choices: %q", r.text.tokens, r.other, r.limit, r.choices, body)
		}
		if counted > len(body) {
			t.Errorf("counted %d of %d bytes: %q", counted, len(body), body)
		}
	})
}

// All text is counted once, as what its escapes stand for.
func FuzzText(f *testing.F) {
	f.Add("plain", "esc\"aped \\ \n\t\u00e9 \U0001f600 \u2028")
	f.Fuzz(func(t *testing.T, one, two string) {
		one, two = strings.ToValidUTF8(one, ""), strings.ToValidUTF8(two, "")
		body, err := json.Marshal(map[string]any{"input": []string{one, two}})
		if err != nil || len(body) > exactText {
			return
		}
		var got []byte
		read(providers.Embeddings, body, func(s []byte) int { got = append(got, s...); return 0 })
		if string(got) != one+two {
			t.Errorf("got %q, want %q", got, one+two)
		}
	})
}
