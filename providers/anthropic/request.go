package anthropic

import (
	"encoding/json"
	"strings"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/field"
)

// request is a request to Messages.
type request struct {
	Model         string          `json:"model"`
	MaxTokens     int64           `json:"max_tokens"`
	Stream        bool            `json:"stream,omitempty"`
	System        []block         `json:"system,omitempty"`
	Messages      []turn          `json:"messages"`
	Tools         []tool          `json:"tools,omitempty"`
	ToolChoice    *toolChoice     `json:"tool_choice,omitempty"`
	Temperature   json.RawMessage `json:"temperature,omitempty"`
	TopP          json.RawMessage `json:"top_p,omitempty"`
	StopSequences []string        `json:"stop_sequences,omitempty"`
	OutputConfig  *outputConfig   `json:"output_config,omitempty"`
	Thinking      *thinking       `json:"thinking,omitempty"`
	ServiceTier   string          `json:"service_tier,omitempty"`
	Metadata      *metadata       `json:"metadata,omitempty"`

	oneToolCall bool // parallel_tool_calls: false
	systemAt    field.Value
}

type outputConfig struct {
	Effort string        `json:"effort,omitempty"`
	Format *outputFormat `json:"format,omitempty"`
}

type thinking struct {
	Type string `json:"type"`
}

type metadata struct {
	UserID string `json:"user_id"`
}

// fields are those of a chat request that Messages has a word for, and those
// that may be there if they ask for nothing. The order is that of translation.
var fields = field.Fields[*request]{
	{"model", func(r *request, v field.Value) (err error) { r.Model, err = v.Text(); return err }},
	{"messages", (*request).readMessages},
	{"tools", (*request).readTools},
	{"tool_choice", (*request).readToolChoice},
	{"parallel_tool_calls", (*request).readParallel},
	{"max_tokens", (*request).readLimit},
	{"max_completion_tokens", (*request).readLimit},
	{"temperature", func(r *request, v field.Value) (err error) { r.Temperature, err = v.Number(0, 1); return err }},
	{"top_p", func(r *request, v field.Value) (err error) { r.TopP, err = v.Number(0, 1); return err }},
	{"stop", (*request).readStop},
	{"response_format", (*request).readFormat},
	{"reasoning_effort", (*request).readEffort},
	{"service_tier", (*request).readTier},
	{"user", (*request).readUser},
	{"safety_identifier", (*request).readUser},

	// How the answer travels is this package's affair.
	{"stream", field.Ignore[*request]},
	{"stream_options", field.Ignore[*request]},

	{"n", field.Only[*request](1.0)},
	{"logprobs", field.Only[*request](false)},
	{"top_logprobs", field.Only[*request](0.0)},
	{"presence_penalty", field.Only[*request](0.0)},
	{"frequency_penalty", field.Only[*request](0.0)},
	{"modalities", field.Only[*request]([]any{"text"})},
	{"verbosity", field.Only[*request]("medium")},
	{"store", field.Only[*request](false)},
	{"metadata", field.Nothing[*request]},
	{"logit_bias", field.Nothing[*request]},
}

// formatName is how refusals call the format.
const formatName = "Messages"

// translate says a chat request in the words of Messages. MaxTokens is zero if
// the request names no limit. Every error is an *providers.UnsupportedError.
func translate(endpoint string, body json.RawMessage) (*request, error) {
	if endpoint != providers.ChatCompletions {
		return nil, &providers.UnsupportedError{Reason: "Messages has no such endpoint, nor has its translation"}
	}
	r := &request{}
	members, err := fields.ReadInto(r, field.Of(body, formatName), "messages")
	if err != nil {
		return nil, err
	}
	if err := r.chooseTools(members["tool_choice"]); err != nil {
		return nil, err
	}
	return r, nil
}

// readLimit reads either name of the limit. Both may be given if they agree.
func (r *request) readLimit(v field.Value) error {
	var n int64
	if json.Unmarshal(v.Raw, &n) != nil || n < 1 {
		return v.Refuse("must be a whole number of at least 1")
	}
	if r.MaxTokens != 0 && r.MaxTokens != n {
		return v.Refuse("contradicts max_tokens")
	}
	r.MaxTokens = n
	return nil
}

func (r *request) readStop(v field.Value) error {
	stops, err := v.OneOrMore()
	if err != nil {
		return err
	}
	for _, stop := range stops {
		s, err := stop.Text()
		if err != nil {
			return err
		}
		if strings.TrimSpace(s) == "" {
			return stop.Refuse("must not be white space alone in Messages")
		}
		r.StopSequences = append(r.StopSequences, s)
	}
	return nil
}

// efforts are the words that both formats have.
var efforts = map[string]bool{"low": true, "medium": true, "high": true, "xhigh": true, "max": true}

func (r *request) readEffort(v field.Value) error {
	effort, err := v.Text()
	switch {
	case err != nil:
		return err
	case effort == "none":
		r.Thinking = &thinking{Type: "disabled"}
	case efforts[effort]:
		r.output().Effort = effort
	default:
		return v.Refuse("must be none, low, medium, high, xhigh or max in Messages")
	}
	return nil
}

func (r *request) output() *outputConfig {
	if r.OutputConfig == nil {
		r.OutputConfig = &outputConfig{}
	}
	return r.OutputConfig
}

func (r *request) readTier(v field.Value) error {
	tier, err := v.Text()
	switch {
	case err != nil:
		return err
	case tier == "auto":
		r.ServiceTier = "auto"
	case tier == "default":
		r.ServiceTier = "standard_only"
	default:
		return v.Refuse("must be auto or default: Messages has no other tiers")
	}
	return nil
}

// readUser reads either name of the end user.
func (r *request) readUser(v field.Value) error {
	user, err := v.Text()
	if err != nil || user == "" {
		return err
	}
	if r.Metadata != nil && r.Metadata.UserID != user {
		return v.Refuse("differs from user: Messages has one name for a user")
	}
	r.Metadata = &metadata{UserID: user}
	return nil
}
