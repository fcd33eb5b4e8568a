package gemini_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/gemini"
	"github.com/penstock-dev/penstock/providers/providertest"
)

func embeddings(body string) providers.Request {
	return providers.Request{Endpoint: providers.Embeddings, Model: "gemini-embedding-001", Body: json.RawMessage(body)}
}

const (
	oneVector  = `{"embeddings":[{"values":[0.5,-1.25]}],"usageMetadata":{"promptTokenCount":7}}`
	twoVectors = `{"embeddings":[{"values":[0.5,-1.25]},{"values":[3]}]}`
)

func TestEmbeddingsAreTranslated(t *testing.T) {
	t.Parallel()
	const texts = `{"requests":[{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"<a>"}]}@},` +
		`{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"b"}]}@}]}`
	for _, c := range []struct{ name, body, asked, reply, want string }{
		{
			"a text", `{"model":"default","input":"<a>","user":"","dimensions":null}`,
			`{"requests":[{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"<a>"}]}}]}`, oneVector,
			`{"object":"list","model":"gemini-embedding-001","data":[{"object":"embedding","index":0,"embedding":[0.5,-1.25]}],
			  "usage":{"prompt_tokens":7,"total_tokens":7}}`,
		},
		{
			"texts", `{"input":["<a>","b"],"encoding_format":"float"}`, strings.ReplaceAll(texts, "@", ""), twoVectors,
			`{"object":"list","model":"gemini-embedding-001","data":[{"object":"embedding","index":0,"embedding":[0.5,-1.25]},
			  {"object":"embedding","index":1,"embedding":[3]}],"usage":null}`,
		},
		{
			"as base64, cut short", `{"input":["<a>","b"],"dimensions":2,"encoding_format":"base64"}`,
			strings.ReplaceAll(texts, "@", `,"outputDimensionality":2`), twoVectors,
			`{"object":"list","model":"gemini-embedding-001","data":[{"object":"embedding","index":0,"embedding":"AAAAPwAAoL8="},
			  {"object":"embedding","index":1,"embedding":"AABAQA=="}],"usage":null}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var asked seen
			provider := open(t, record(&asked, providertest.Whole(200, c.reply)))
			got, err := provider.Call(t.Context(), embeddings(c.body), nil)
			if err != nil {
				t.Fatal(err)
			}
			if asked.target != "/v1beta/models/gemini-embedding-001:batchEmbedContents" || !equalJSON(t, asked.body, c.asked) {
				t.Errorf("asked %s\ngot  %s\nwant %s", asked.target, asked.body, c.asked)
			}
			if !equalJSON(t, string(got.Body), c.want) {
				t.Errorf("\ngot  %s\nwant %s", got.Body, c.want)
			}
			want := providers.Usage{Known: c.reply == oneVector}
			if want.Known {
				want.InputTokens = 7
			}
			if got.Usage != want || got.FinishReason != "" || got.RequestID != "req_1" {
				t.Errorf("got %+v", got)
			}
			if err := gemini.Check(providers.Embeddings, json.RawMessage(c.body)); err != nil {
				t.Errorf("Check refuses it: %v", err)
			}
		})
	}
}

func TestEmbeddingsThatGeminiCannotSayAreRefused(t *testing.T) {
	t.Parallel()
	many := `"x"` + strings.Repeat(`,"x"`, 100)
	providertest.Refuses(t, providers.Embeddings, []providertest.Refusal{
		{"/input", `{}`},
		{"/input", `{"input":null}`},
		{"/input", `{"input":7}`},
		{"/input", `{"input":[]}`},
		{"/input", `{"input":""}`},
		{"/input", `{"input":[` + many + `]}`},
		{"/input/1", `{"input":["x",""]}`},
		{"/input/0", `{"input":[1,2]}`},
		{"/input/0", `{"input":[[1,2],[3]]}`},
		{"/model", `{"input":"x","model":7}`},
		{"/dimensions", `{"input":"x","dimensions":0}`},
		{"/dimensions", `{"input":"x","dimensions":1.5}`},
		{"/encoding_format", `{"input":"x","encoding_format":"hex"}`},
		{"/user", `{"input":"x","user":"u-1"}`},
		{"/input_type", `{"input":"x","input_type":"query"}`},
	}, open, gemini.Check)
}

func TestEmbeddingsThatAreNotWhole(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		want   providers.Class
	}{
		"too few":          {200, oneVector, providers.Truncated},
		"too many":         {200, strings.Replace(twoVectors, "[{", `[{"values":[1]},{`, 1), providers.Truncated},
		"an empty one":     {200, strings.Replace(twoVectors, "[3]", "[]", 1), providers.Malformed},
		"one of no number": {200, strings.Replace(twoVectors, "[3]", `["a"]`, 1), providers.Malformed},
		"none":             {200, `{}`, providers.Malformed},
		"no object":        {200, `[]`, providers.Malformed},
		"nothing":          {200, ``, providers.Malformed},
		"an error in it":   {200, `{"error":{"code":503,"status":"UNAVAILABLE"}}`, providers.Overloaded},
		"a limit":          {429, `{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}`, providers.RateLimited},
	} {
		_, err := open(t, providertest.Whole(c.status, c.body)).Call(t.Context(), embeddings(`{"input":["x","y"]}`), nil)
		if got := failureOf(t, err); got.Class != c.want {
			t.Errorf("%s: got %s, want %s", name, got.Class, c.want)
		}
	}
	_, err := open(t, providertest.Whole(200, oneVector)).Call(t.Context(), providers.Request{
		Endpoint: providers.Embeddings, Body: json.RawMessage(`{"input":"x"}`),
	}, nil)
	if failureOf(t, err).Class != providers.BadRequest {
		t.Errorf("no model: got %v", err)
	}
}
