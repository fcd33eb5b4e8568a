package chat

import (
	"encoding/json"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// Writer says an answer of another format as chunks of a chat completion. It
// tells them one by one and puts them together as a client would. It is for one
// goroutine.
type Writer struct {
	// ID and Model are the completion's, for the chunks to come.
	ID, Model string

	tell     func(chunk json.RawMessage, substance bool)
	created  int64
	assembly *Assembly
}

// ToolCall is a tool call, or a piece of one: then all but Index and Arguments
// are empty.
type ToolCall struct {
	Index     int
	ID, Name  string
	Arguments string
	// Extra is what chat completions have no word for, as a JSON object.
	Extra json.RawMessage
}

// NewWriter returns a writer of a completion that is made now. tell gets each
// chunk, and whether it can be the first token.
func NewWriter(tell func(chunk json.RawMessage, substance bool)) *Writer {
	return &Writer{tell: tell, created: time.Now().Unix(), assembly: NewAssembly()}
}

type chunk struct {
	ID      string        `json:"id"`
	Object  string        `json:"object"`
	Created int64         `json:"created"`
	Model   string        `json:"model"`
	Choices []chunkChoice `json:"choices"`
	Usage   *usage        `json:"usage,omitempty"`
}

type chunkChoice struct {
	Index        int        `json:"index"`
	Delta        chunkDelta `json:"delta"`
	Logprobs     *logprobs  `json:"logprobs"`
	FinishReason *string    `json:"finish_reason"`
}

type logprobs struct {
	Content []Token   `json:"content"`
	Refusal *struct{} `json:"refusal"`
}

// Token is a token of an answer, and those that were likely in its place.
type Token struct {
	Likely
	Top []Likely `json:"top_logprobs"`
}

// Likely is a token and the logarithm of its probability. Its bytes are not known.
type Likely struct {
	Token   string    `json:"token"`
	Logprob float64   `json:"logprob"`
	Bytes   *struct{} `json:"bytes"`
}

type chunkDelta struct {
	Role      string      `json:"role,omitempty"`
	Content   *string     `json:"content,omitempty"`
	ToolCalls []chunkCall `json:"tool_calls,omitempty"`
}

type chunkCall struct {
	Index    int             `json:"index"`
	ID       string          `json:"id,omitempty"`
	Type     string          `json:"type,omitempty"`
	Function chunkFunction   `json:"function"`
	Extra    json.RawMessage `json:"extra_content,omitempty"`
}

type chunkFunction struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

// usage is that of a chat completion.
type usage struct {
	PromptTokens     int64             `json:"prompt_tokens"`
	CompletionTokens int64             `json:"completion_tokens"`
	TotalTokens      int64             `json:"total_tokens"`
	PromptDetails    promptDetails     `json:"prompt_tokens_details"`
	OutputDetails    completionDetails `json:"completion_tokens_details"`
}

type promptDetails struct {
	CachedTokens int64 `json:"cached_tokens"`
}

type completionDetails struct {
	ReasoningTokens int64 `json:"reasoning_tokens"`
}

// Begin opens a choice.
func (w *Writer) Begin(choice int) error {
	return w.delta(choice, chunkDelta{Role: "assistant"}, false)
}

// Text adds a piece of text.
func (w *Writer) Text(choice int, text string) error {
	return w.delta(choice, chunkDelta{Content: &text}, text != "")
}

// Call adds a tool call or a piece of one.
func (w *Writer) Call(choice int, call ToolCall) error {
	piece := chunkCall{
		Index: call.Index, ID: call.ID, Function: chunkFunction{Name: call.Name, Arguments: call.Arguments}, Extra: call.Extra,
	}
	if call.ID != "" || call.Name != "" {
		piece.Type = "function"
	}
	return w.delta(choice, chunkDelta{ToolCalls: []chunkCall{piece}}, true)
}

// Logprobs tells how likely tokens of a choice were.
func (w *Writer) Logprobs(choice int, tokens []Token) error {
	return w.write([]chunkChoice{{Index: choice, Logprobs: &logprobs{Content: tokens}}}, nil, true)
}

// Finish ends a choice.
func (w *Writer) Finish(choice int, reason string) error {
	return w.write([]chunkChoice{{Index: choice, FinishReason: &reason}}, nil, true)
}

// Usage tells the usage, if it is known.
func (w *Writer) Usage(u providers.Usage) error {
	if !u.Known {
		return nil
	}
	return w.write([]chunkChoice{}, &usage{
		PromptTokens:     u.InputTokens,
		CompletionTokens: u.OutputTokens,
		TotalTokens:      u.InputTokens + u.OutputTokens,
		PromptDetails:    promptDetails{u.CachedTokens},
		OutputDetails:    completionDetails{u.ReasoningTokens},
	}, false)
}

// Partial is the text of the first choice so far.
func (w *Writer) Partial() string { return w.assembly.Partial() }

// Body is the completion so far, as the endpoint gives it when it does not
// stream.
func (w *Writer) Body() json.RawMessage { return w.assembly.Body() }

func (w *Writer) delta(choice int, d chunkDelta, substance bool) error {
	return w.write([]chunkChoice{{Index: choice, Delta: d}}, nil, substance)
}

func (w *Writer) write(choices []chunkChoice, u *usage, substance bool) error {
	data, err := json.Marshal(chunk{
		ID: w.ID, Object: "chat.completion.chunk", Created: w.created, Model: w.Model, Choices: choices, Usage: u,
	})
	if err != nil {
		return errChunkShape // Extra is not JSON; nothing else can fail
	}
	members, err := ReadObject(data)
	if err != nil {
		return errChunkShape
	}
	if _, err := w.assembly.Add(members); err != nil {
		return err
	}
	w.tell(data, substance)
	return nil
}
