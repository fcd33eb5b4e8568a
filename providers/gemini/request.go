package gemini

import (
	"encoding/json"
	"math"

	"github.com/penstock-dev/penstock/providers/internal/field"
)

// request is a request to generateContent.
type request struct {
	System      *content    `json:"systemInstruction,omitempty"`
	Contents    []content   `json:"contents"`
	Tools       []tools     `json:"tools,omitempty"`
	ToolConfig  *toolConfig `json:"toolConfig,omitempty"`
	Generation  generation  `json:"generationConfig,omitzero"`
	ServiceTier string      `json:"serviceTier,omitempty"`

	model   string            // said in the path
	choices int               // at least 1
	calls   map[string]string // names of the tools called so far, by the call's id
	results bool              // the last of Contents is results of tools
	strict  bool              // a tool wants its schema followed
	oneCall field.Value       // parallel_tool_calls, if it is false
}

// generation is how the answer is made.
type generation struct {
	Temperature      json.RawMessage `json:"temperature,omitempty"`
	TopP             json.RawMessage `json:"topP,omitempty"`
	TopK             int64           `json:"topK,omitempty"`
	MaxOutputTokens  int64           `json:"maxOutputTokens,omitempty"`
	CandidateCount   int             `json:"candidateCount,omitempty"`
	StopSequences    []string        `json:"stopSequences,omitempty"`
	Seed             *int32          `json:"seed,omitempty"`
	PresencePenalty  json.RawMessage `json:"presencePenalty,omitempty"`
	FrequencyPenalty json.RawMessage `json:"frequencyPenalty,omitempty"`
	ResponseMimeType string          `json:"responseMimeType,omitempty"`
	ResponseSchema   json.RawMessage `json:"responseJsonSchema,omitempty"`
	Thinking         *thinking       `json:"thinkingConfig,omitempty"`
	ResponseLogprobs bool            `json:"responseLogprobs,omitempty"`
	Logprobs         int64           `json:"logprobs,omitempty"`
}

// thinking is how much the model thinks: a level, or no tokens at all.
type thinking struct {
	Level  string `json:"thinkingLevel,omitempty"`
	Budget *int   `json:"thinkingBudget,omitempty"`
}

// fields are those of a chat request that Gemini has a word for, and those that
// may be there if they ask for nothing. The order is that of translation.
var fields = field.Fields[*request]{
	{"model", func(r *request, v field.Value) (err error) { r.model, err = v.Text(); return err }},
	{"messages", (*request).readMessages},
	{"tools", (*request).readTools},
	{"tool_choice", (*request).readToolChoice},
	{"parallel_tool_calls", (*request).readParallel},
	{"max_tokens", (*request).readLimit},
	{"max_completion_tokens", (*request).readLimit},
	{"n", (*request).readChoices},
	{"temperature", number(0, 2, func(g *generation) *json.RawMessage { return &g.Temperature })},
	{"top_p", number(0, 1, func(g *generation) *json.RawMessage { return &g.TopP })},
	{"top_k", func(r *request, v field.Value) (err error) {
		r.Generation.TopK, err = whole(v, 1, math.MaxInt32)
		return err
	}},
	{"presence_penalty", number(-2, 2, func(g *generation) *json.RawMessage { return &g.PresencePenalty })},
	{"frequency_penalty", number(-2, 2, func(g *generation) *json.RawMessage { return &g.FrequencyPenalty })},
	{"seed", (*request).readSeed},
	{"stop", (*request).readStop},
	{"response_format", (*request).readFormat},
	{"reasoning_effort", (*request).readEffort},
	{"service_tier", (*request).readTier},
	{"logprobs", func(r *request, v field.Value) (err error) { r.Generation.ResponseLogprobs, err = v.Bool(); return err }},
	{"top_logprobs", (*request).readTopLogprobs},

	// How the answer travels is this package's affair.
	{"stream", field.Ignore[*request]},
	{"stream_options", field.Ignore[*request]},

	{"modalities", field.Only[*request]([]any{"text"})},
	{"verbosity", field.Only[*request]("medium")},
	{"store", field.Only[*request](false)},
	{"metadata", field.Nothing[*request]},
	{"logit_bias", field.Nothing[*request]},
}

func number(low, high float64, of func(*generation) *json.RawMessage) func(*request, field.Value) error {
	return func(r *request, v field.Value) (err error) {
		*of(&r.Generation), err = v.Number(low, high)
		return err
	}
}

// whole reads a whole number from low to high.
func whole(v field.Value, low, high int64) (n int64, err error) {
	if json.Unmarshal(v.Raw, &n) != nil || n < low || n > high {
		return 0, v.Refuse("must be a whole number from %d to %d in %s", low, high, v.Format)
	}
	return n, nil
}

// translate says a chat request in the words of Gemini. Every error is an
// *providers.UnsupportedError.
func translate(body json.RawMessage) (*request, error) {
	r := &request{choices: 1, calls: map[string]string{}}
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
	n, err := whole(v, 1, math.MaxInt32)
	if err != nil {
		return err
	}
	if before := r.Generation.MaxOutputTokens; before != 0 && before != n {
		return v.Refuse("contradicts max_tokens")
	}
	r.Generation.MaxOutputTokens = n
	return nil
}

// maxChoices is Gemini's bound of candidateCount.
const maxChoices = 8

func (r *request) readChoices(v field.Value) error {
	n, err := whole(v, 1, maxChoices)
	if err == nil && n > 1 {
		r.choices, r.Generation.CandidateCount = int(n), int(n)
	}
	return err
}

func (r *request) readSeed(v field.Value) error {
	n, err := whole(v, math.MinInt32, math.MaxInt32)
	if err == nil {
		seed := int32(n) //nolint:gosec // its range was checked
		r.Generation.Seed = &seed
	}
	return err
}

// maxStops is how many stop sequences Gemini takes.
const maxStops = 5

func (r *request) readStop(v field.Value) error {
	stops, err := v.OneOrMore()
	if err != nil {
		return err
	}
	if len(stops) > maxStops {
		return v.Refuse("must be at most %d in Gemini", maxStops)
	}
	for _, stop := range stops {
		s, err := stop.Text()
		if err != nil {
			return err
		}
		if s == "" {
			return stop.Refuse("must not be empty")
		}
		r.Generation.StopSequences = append(r.Generation.StopSequences, s)
	}
	return nil
}

// levels are the words that both formats have.
var levels = map[string]string{"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH"}

func (r *request) readEffort(v field.Value) error {
	effort, err := v.Text()
	switch level := levels[effort]; {
	case err != nil:
		return err
	case effort == "none":
		r.Generation.Thinking = &thinking{Budget: new(int)}
	case level != "":
		r.Generation.Thinking = &thinking{Level: level}
	default:
		return v.Refuse("must be none, minimal, low, medium or high in Gemini")
	}
	return nil
}

// tiers are service tiers in the words of Gemini. The one that it chooses by
// itself is the standard one.
var tiers = map[string]string{"auto": "", "default": "standard", "flex": "flex", "priority": "priority"}

func (r *request) readTier(v field.Value) error {
	tier, err := v.Text()
	if err != nil {
		return err
	}
	said, ok := tiers[tier]
	if !ok {
		return v.Refuse("must be auto, default, flex or priority in Gemini")
	}
	r.ServiceTier = said
	return nil
}

// maxTopLogprobs is the bound of both formats.
const maxTopLogprobs = 20

func (r *request) readTopLogprobs(v field.Value) (err error) {
	r.Generation.Logprobs, err = whole(v, 0, maxTopLogprobs)
	if err == nil && r.Generation.Logprobs > 0 && !r.Generation.ResponseLogprobs {
		return v.Refuse("needs logprobs to be true")
	}
	return err
}
