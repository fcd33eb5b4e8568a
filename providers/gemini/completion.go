package gemini

import (
	"bytes"
	"crypto/rand"
	"encoding/json"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// reply is a whole answer, or an event of a streamed one: it has the same shape
// with a part of the text.
type reply struct {
	Candidates     []candidate     `json:"candidates"`
	PromptFeedback promptFeedback  `json:"promptFeedback"`
	Usage          json.RawMessage `json:"usageMetadata"`
	ModelVersion   string          `json:"modelVersion"`
	ResponseID     string          `json:"responseId"`
	Error          json.RawMessage `json:"error"`
}

// promptFeedback says why there is no candidate at all.
type promptFeedback struct {
	BlockReason string `json:"blockReason"`
	Message     string `json:"blockReasonMessage"`
}

type candidate struct {
	Index   int `json:"index"`
	Content struct {
		Parts []chat.Object `json:"parts"`
	} `json:"content"`
	FinishReason  string   `json:"finishReason"`
	FinishMessage string   `json:"finishMessage"`
	Logprobs      logprobs `json:"logprobsResult"`
}

// completion is an answer on its way to being a chat completion.
type completion struct {
	out      *chat.Writer
	tell     transport.Tell
	choices  []choice
	usage    usage
	finished string
}

// choice is a candidate so far.
type choice struct {
	begun   bool
	spoke   bool // text came
	calls   int
	reason  string // of its end; empty when more came behind it
	message string // says more about reason
}

var (
	errUnknownPart = &providers.Error{
		Class: providers.Malformed, Message: "the answer has a part of a kind that is not known",
	}
	errCandidate = &providers.Error{
		Class: providers.Malformed, Message: "the answer has a candidate that was not asked for",
	}
	errCall = &providers.Error{
		Class: providers.Malformed, Message: "a tool call has no name, or arguments that are not a JSON object",
	}
	errUnfinished = &providers.Error{
		Class: providers.Truncated, Message: "the answer ended without a finish reason for each choice",
	}
)

// newCompletion is of an answer to a request for that many choices.
func newCompletion(tell transport.Tell, choices int) *completion {
	return &completion{out: chat.NewWriter(tell), tell: tell, choices: make([]choice, choices)}
}

// answer is what came: whole if err is nil.
func (c *completion) answer(err error) (transport.Answer, error) {
	got := transport.Answer{
		Model: c.out.Model, Finish: c.finished, Usage: c.usage.counts(), Partial: c.out.Partial(),
	}
	if err == nil {
		got.Body = c.out.Body()
	}
	return got, err
}

// add takes in a reply.
func (c *completion) add(data []byte) error {
	var r reply
	if json.Unmarshal(data, &r) != nil {
		return &providers.Error{Class: providers.Malformed, Message: "a part of the answer is not as specified"}
	}
	if !chat.IsEmpty(r.Error) {
		return reportedError(data)
	}
	c.out.ID = transport.OrDefault(c.out.ID, r.ResponseID)
	c.out.Model = transport.OrDefault(r.ModelVersion, c.out.Model)
	c.usage.Add(r.Usage)
	c.tell(nil, false)
	if blocked := r.PromptFeedback; blocked.BlockReason != "" {
		return &providers.Error{
			Class: providers.ContentFiltered, Message: "the provider refused the prompt",
			Detail: transport.OrDefault(blocked.Message, blocked.BlockReason),
		}
	}
	for _, candidate := range r.Candidates {
		if err := c.addCandidate(candidate); err != nil {
			return err
		}
	}
	return nil
}

func (c *completion) addCandidate(came candidate) error {
	if came.Index < 0 || came.Index >= len(c.choices) {
		return errCandidate
	}
	ch := &c.choices[came.Index]
	if !ch.begun {
		ch.begun = true
		if err := c.out.Begin(came.Index); err != nil {
			return err
		}
	}
	for _, p := range came.Content.Parts {
		ch.reason = ""
		if err := c.addPart(came.Index, p); err != nil {
			return err
		}
	}
	if len(came.Logprobs.Chosen) > 0 {
		if err := c.out.Logprobs(came.Index, came.Logprobs.tokens()); err != nil {
			return err
		}
	}
	if came.FinishReason != "" {
		ch.reason, ch.message = came.FinishReason, came.FinishMessage
	}
	return nil
}

func (c *completion) addPart(index int, p chat.Object) error {
	ch := &c.choices[index]
	switch text := chat.Text(p["text"]); {
	case !chat.IsNull(p["functionCall"]):
		return c.addCall(index, p)
	case string(p["thought"]) == "true":
		c.tell(nil, text != "")
		return nil
	case text != "":
		ch.spoke = true
		return c.out.Text(index, text)
	case string(p["text"]) == `""`, isMark(p):
		return nil
	default:
		return errUnknownPart
	}
}

// isMark says whether p carries nothing but the mark of a thought.
func isMark(p chat.Object) bool {
	for name, value := range p {
		if name != "thoughtSignature" && !chat.IsEmpty(value) && string(value) != "false" {
			return false
		}
	}
	return true
}

// addCall tells a tool call, which Gemini sends whole. It may give it no id:
// then one is made up, since chat completions know calls by theirs.
func (c *completion) addCall(index int, p chat.Object) error {
	call, err := chat.ReadObject(p["functionCall"])
	if err != nil {
		return errCall
	}
	arguments := []byte("{}")
	if raw := call["args"]; !chat.IsNull(raw) {
		if _, err := chat.ReadObject(raw); err != nil {
			return errCall
		}
		var compact bytes.Buffer
		_ = json.Compact(&compact, raw) // it is valid JSON
		arguments = compact.Bytes()
	}
	name := chat.Text(call["name"])
	if name == "" {
		return errCall
	}
	id := chat.Text(call["id"])
	if id == "" {
		id = "call_" + rand.Text()
	}
	ch := &c.choices[index]
	ch.calls++
	return c.out.Call(index, chat.ToolCall{
		Index: ch.calls - 1, ID: id, Name: name, Arguments: string(arguments), Extra: extraOf(chat.Text(p["thoughtSignature"])),
	})
}

// end ends the answer: nothing more comes.
func (c *completion) end() error {
	reasons, err := finishesOf(c.choices)
	if err != nil {
		return err
	}
	c.finished = reasons[0]
	for i, reason := range reasons {
		if ch := c.choices[i]; !ch.spoke && ch.calls == 0 { // the model may have nothing to say
			if err := c.out.Text(i, ""); err != nil {
				return err
			}
		}
		if err := c.out.Finish(i, reason); err != nil {
			return err
		}
	}
	return c.out.Usage(c.usage.counts())
}
