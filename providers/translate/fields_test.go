package translate_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/anthropic"
	"github.com/penstock-dev/penstock/providers/gemini"
	"github.com/penstock-dev/penstock/providers/openai"
	"github.com/penstock-dev/penstock/providers/providertest"
	"github.com/penstock-dev/penstock/providers/translate"
)

// wish is a field of a request with a value that asks for something, and what each
// format makes of it: what its request then says, or refused.
type wish struct {
	with                      string // members of the request
	openai, anthropic, gemini string
	at                        string // where it is refused; by default at the first of with
}

const (
	refused = ""
	asItIs  = "as it is" // with its own name and value
	ours    = "ours"     // how the answer travels, and what returns with it
)

// known are the fields of each endpoint's request, by the official Go SDKs:
// OpenAI's 3.95, and Anthropic's 1.84 with what is in beta there.
var known = map[string]string{
	providers.ChatCompletions: "audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens " +
		"messages metadata modalities model moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key " +
		"prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier stop store " +
		"stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options",
	providers.Embeddings: "dimensions encoding_format input model user",
	providers.Responses: "access_programs background context_management conversation include input instructions max_output_tokens " +
		"max_tool_calls metadata model moderation parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_options " +
		"prompt_cache_retention reasoning safety_identifier service_tier store stream stream_options temperature text tool_choice tools " +
		"top_logprobs top_p truncation user",
	providers.Messages: "cache_control compaction container context_management diagnostics fallback_credit_token fallbacks inference_geo " +
		"max_tokens mcp_servers messages metadata model output_config output_format service_tier speed stop_sequences stream system " +
		"temperature thinking tool_choice tools top_k top_p",
}

// bases are requests that ask for no more than an answer.
var bases = map[string]string{
	providers.ChatCompletions: `{"model":"m","messages":[{"role":"user","content":"Hi"}]}`,
	providers.Embeddings:      `{"model":"m","input":"Hi"}`,
	providers.Responses:       `{"model":"m","input":"Hi"}`,
	providers.Messages:        `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}`,
}

// TestNoFieldIsDropped: what a request can ask for is said in the format of the
// server, or refused with the field; and nothing that is known is without a row.
func TestNoFieldIsDropped(t *testing.T) {
	t.Parallel()
	for endpoint, wishes := range wishes {
		t.Run(endpoint, func(t *testing.T) {
			t.Parallel()
			var rows []string
			for _, w := range wishes {
				rows = append(rows, w.field(t))
				w.try(t, endpoint, "openai", w.openai)
				w.try(t, endpoint, "anthropic", w.anthropic)
				w.try(t, endpoint, "gemini", w.gemini)
			}
			for name := range strings.FieldsSeq(known[endpoint]) {
				if !slices.Contains(rows, name) {
					t.Errorf("no row asks for %s", name)
				}
			}
		})
	}
}

// TestWhatNobodyKnowsIsRefused: whatever it asks for. An empty object may ask for
// something by being there.
func TestWhatNobodyKnowsIsRefused(t *testing.T) {
	t.Parallel()
	for endpoint := range known {
		for _, value := range []string{`1`, `0`, `true`, `false`, `"x"`, `{}`, `{"a":1}`, `[0]`} {
			w := wish{with: `"novelty":` + value}
			if endpoint != providers.ChatCompletions && endpoint != providers.Embeddings {
				w.try(t, endpoint, "openai", refused)
			}
			if endpoint != providers.Messages {
				w.try(t, endpoint, "anthropic", refused)
			}
			w.try(t, endpoint, "gemini", refused)
		}
	}
}

// field is the name of the first of w's members.
func (w wish) field(t *testing.T) string {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader("{" + w.with))
	_, _ = decoder.Token()
	name, err := decoder.Token()
	if err != nil {
		t.Fatalf("%s: %v", w.with, err)
	}
	return name.(string)
}

// try asks format for w.
func (w wish) try(t *testing.T, endpoint, format, want string) {
	t.Helper()
	body := w.request(t, endpoint)
	check, sent, err := ask(t, format, endpoint, body)
	if want != refused {
		if check != nil || sent == nil {
			t.Errorf("%s: %s: got %v, check %v, want it asked", format, body, err, check)
		} else if said := w.said(t, sent, want); said != "" {
			t.Errorf("%s: %s: asked %s, want in it %s", format, body, sent, said)
		}
		return
	}
	at := w.at
	if at == "" {
		at = "/" + w.field(t)
	}
	if format == "anthropic" && endpoint == providers.Embeddings {
		at = "" // it is the endpoint that is refused
	}
	failure, ok := errors.AsType[*providers.Error](err)
	if !ok || failure.Unsupported == nil || failure.Unsupported.Pointer != at {
		t.Errorf("%s: %s: got %v, want it refused at %q", format, body, err, at)
	} else if checked, ok := errors.AsType[*providers.UnsupportedError](check); !ok || *checked != *failure.Unsupported {
		t.Errorf("%s: %s: the check says %v, the call %v", format, body, check, failure.Unsupported)
	}
	if sent != nil {
		t.Errorf("%s: %s: was refused and asked: %s", format, body, sent)
	}
}

// request is the base with w in it.
func (w wish) request(t *testing.T, endpoint string) json.RawMessage {
	t.Helper()
	members := map[string]json.RawMessage{}
	err := errors.Join(json.Unmarshal([]byte(bases[endpoint]), &members), json.Unmarshal([]byte("{"+w.with+"}"), &members))
	if err != nil {
		t.Fatalf("%s: %v", w.with, err)
	}
	body, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// said is what sent lacks of want, or nothing.
func (w wish) said(t *testing.T, sent []byte, want string) string {
	t.Helper()
	if want == asItIs {
		want = w.with
	}
	if want == ours || bytes.Contains(compact(t, sent), compact(t, []byte(want))) {
		return ""
	}
	return want
}

// compact takes the white space out of JSON, or of members of an object.
func compact(t *testing.T, raw []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if bytes.HasPrefix(raw, []byte("{")) {
		if err := json.Compact(&out, raw); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		return out.Bytes()
	}
	inner := compact(t, append(append([]byte("{"), raw...), '}'))
	return inner[1 : len(inner)-1]
}

// ask makes a call in format as the program does, and returns what the check says,
// what the server was sent, if anything, and how the call ended.
func ask(t *testing.T, format, endpoint string, body json.RawMessage) (check error, sent []byte, err error) {
	t.Helper()
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusTeapot)
	})
	dial := providertest.Dial(t, server)
	var provider providers.Provider
	var inner providers.Check
	var native []string
	switch format {
	case "anthropic":
		provider, err = anthropic.New(anthropic.Config{BaseURL: "http://memory/v1", DialContext: dial})
		inner, native = anthropic.Check, anthropic.Endpoints()
	case "gemini":
		provider, err = gemini.New(gemini.Config{BaseURL: "http://memory/v1beta", DialContext: dial})
		inner, native = gemini.Check, gemini.Endpoints()
	default:
		config := openai.Config{BaseURL: "http://memory/v1", DialContext: dial}
		provider, err = openai.New(config)
		inner, native = config.Check, config.Serves()
	}
	if err != nil {
		t.Fatal(err)
	}
	config := translate.Config{Native: native}
	check = translate.Check(inner, config)(endpoint, body)
	_, err = translate.New(provider, config).Call(t.Context(), providers.Request{Endpoint: endpoint, Model: "m", Body: body}, nil)
	return check, sent, err
}
