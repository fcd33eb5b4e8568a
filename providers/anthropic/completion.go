package anthropic

import (
	"encoding/json"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// completion is a message on its way to being a chat completion: what comes of
// it is told as chunks, and put together from them as a client would.
type completion struct {
	tell       transport.Tell
	assembly   *chat.Assembly
	head       chunk
	usage      usage
	stopReason string
	details    *stopDetails
	finished   string

	started, stopped bool
	spoke            bool // text came
	open             map[int64]*openBlock
	calls            int
	arguments        [][]byte // of each tool call
}

// openBlock is a block that has begun and not ended.
type openBlock struct {
	kind   string
	deltas string          // the type of its deltas that are part of the answer
	call   int             // of a tool call its number
	input  json.RawMessage // of a tool call, for as long as no piece came; else nil
}

// maxOpen bounds the blocks that are open at once. Anthropic opens one.
const maxOpen = 128

var (
	errOrder = &providers.Error{
		Class: providers.Malformed, Message: "the events of the stream are not in the order that is specified",
	}
	errUnknownPart = &providers.Error{
		Class: providers.Malformed, Message: "the answer has a part of a kind that is not known",
	}
)

func newCompletion(tell transport.Tell) *completion {
	return &completion{
		tell:     tell,
		assembly: chat.NewAssembly(),
		head:     chunk{Object: "chat.completion.chunk", Created: time.Now().Unix()},
		open:     map[int64]*openBlock{},
	}
}

// answer is what came: whole if err is nil.
func (c *completion) answer(err error) (transport.Answer, error) {
	got := transport.Answer{
		Model: c.head.Model, Finish: c.finished, Usage: c.usage.counts(), Partial: c.assembly.Partial(),
	}
	if err == nil {
		got.Body = c.assembly.Body()
	}
	return got, err
}

// chunk is a chat.completion.chunk.
type chunk struct {
	ID      string        `json:"id"`
	Object  string        `json:"object"`
	Created int64         `json:"created"`
	Model   string        `json:"model"`
	Choices []chunkChoice `json:"choices"`
	Usage   *chatUsage    `json:"usage,omitempty"`
}

type chunkChoice struct {
	Index        int        `json:"index"`
	Delta        chunkDelta `json:"delta"`
	LogProbs     *struct{}  `json:"logprobs"`
	FinishReason *string    `json:"finish_reason"`
}

type chunkDelta struct {
	Role      string      `json:"role,omitempty"`
	Content   *string     `json:"content,omitempty"`
	ToolCalls []chunkCall `json:"tool_calls,omitempty"`
}

type chunkCall struct {
	Index    int           `json:"index"`
	ID       string        `json:"id,omitempty"`
	Type     string        `json:"type,omitempty"`
	Function chunkFunction `json:"function"`
}

type chunkFunction struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

func (c *completion) sendText(text string) error {
	c.spoke = true
	return c.send(chunkDelta{Content: &text}, text != "")
}

func (c *completion) sendCall(call chunkCall) error {
	c.arguments = append(c.arguments, nil)
	return c.send(chunkDelta{ToolCalls: []chunkCall{call}}, true)
}

func (c *completion) sendArguments(call int, piece string) error {
	c.arguments[call] = append(c.arguments[call], piece...)
	return c.send(chunkDelta{ToolCalls: []chunkCall{{Index: call, Function: chunkFunction{Arguments: piece}}}}, true)
}

func (c *completion) finish(reason string) error {
	c.finished = reason
	return c.sendChoices([]chunkChoice{{FinishReason: &reason}}, nil, true)
}

// sendUsage tells the usage, if the server did.
func (c *completion) sendUsage() error {
	if counts := c.usage.counts(); counts.Known {
		return c.sendChoices([]chunkChoice{}, usageOf(counts), false)
	}
	return nil
}

func (c *completion) send(d chunkDelta, substance bool) error {
	return c.sendChoices([]chunkChoice{{Delta: d}}, nil, substance)
}

func (c *completion) sendChoices(choices []chunkChoice, usage *chatUsage, substance bool) error {
	piece := c.head
	piece.Choices, piece.Usage = choices, usage
	data, err := json.Marshal(piece)
	if err != nil {
		return errUnknownPart // none of its types can fail
	}
	members, err := chat.ReadObject(data)
	if err != nil {
		return errUnknownPart
	}
	if _, err := c.assembly.Add(members); err != nil {
		return err
	}
	c.tell(data, substance)
	return nil
}
