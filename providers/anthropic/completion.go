package anthropic

import (
	"encoding/json"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// completion is a message on its way to being a chat completion.
type completion struct {
	out        *chat.Writer
	tell       transport.Tell
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
	return &completion{out: chat.NewWriter(tell), tell: tell, open: map[int64]*openBlock{}}
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

func (c *completion) sendText(text string) error {
	c.spoke = true
	return c.out.Text(0, text)
}

func (c *completion) sendCall(call chat.ToolCall) error {
	c.arguments = append(c.arguments, nil)
	return c.out.Call(0, call)
}

func (c *completion) sendArguments(call int, piece string) error {
	c.arguments[call] = append(c.arguments[call], piece...)
	return c.out.Call(0, chat.ToolCall{Index: call, Arguments: piece})
}
