package providertest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers"
)

// told is what a listener made of the pieces, as a client of their endpoint does.
type told struct {
	chunks int
	said
}

// said is what an answer, or its pieces together, comes to.
type said struct {
	content, finish string
	form            string // the endpoint whose form it has
	opens           bool   // it says that the answer has begun, and nothing of it
}

func (o *told) add(t *testing.T, chunk providers.Chunk) {
	t.Helper()
	if chunk.Data == nil {
		return
	}
	o.chunks++
	piece := readPiece(chunk.Data)
	if piece.form == "" {
		t.Errorf("chunk %d is not as any endpoint has it: %s", o.chunks, chunk.Data)
	}
	if o.chunks > 1 && piece.form != o.form {
		t.Errorf("chunk %d has the form of %s, those before that of %s", o.chunks, piece.form, o.form)
	}
	if piece.content != "" && !chunk.Token || piece.opens && chunk.Token {
		t.Errorf("chunk %d is said to be a token: %v; it is %s", o.chunks, chunk.Token, chunk.Data)
	}
	o.form = piece.form
	o.content += piece.content
	o.finish += piece.finish
}

// compare wants the body to be the endpoint's own, and to say what the pieces
// said. Where the request was translated the pieces are those of chat completions.
func (o *told) compare(t *testing.T, endpoint string, body json.RawMessage) {
	t.Helper()
	whole := readBody(body)
	if whole.form != endpoint {
		t.Fatalf("the body has the form of %q, want %s: %s", whole.form, endpoint, body)
	}
	if o.chunks == 0 {
		return
	}
	if o.form != endpoint && o.form != providers.ChatCompletions {
		t.Errorf("the pieces have the form of %s", o.form)
	}
	if o.content != whole.content || o.form == endpoint && o.finish != whole.finish {
		t.Errorf("the chunks say %q and %q, the body %q and %q", o.content, o.finish, whole.content, whole.finish)
	}
}

// readPiece reads a piece of any endpoint.
func readPiece(data json.RawMessage) said {
	var piece struct {
		Object  string `json:"object"`
		Choices []struct {
			Delta struct {
				Role      string            `json:"role"`
				Content   string            `json:"content"`
				ToolCalls []json.RawMessage `json:"tool_calls"`
			} `json:"delta"`
			FinishReason string `json:"finish_reason"`
		} `json:"choices"`
		Type     string          `json:"type"`
		Delta    json.RawMessage `json:"delta"`
		Response struct {
			Status string `json:"status"`
		} `json:"response"`
	}
	if json.Unmarshal(data, &piece) != nil {
		return said{}
	}
	switch {
	case piece.Object == "chat.completion.chunk":
		s := said{form: providers.ChatCompletions}
		for _, choice := range piece.Choices {
			s.content += choice.Delta.Content
			s.finish += choice.FinishReason
			s.opens = choice.Delta.Role != "" && len(choice.Delta.ToolCalls) == 0
		}
		s.opens = s.opens && s.content == "" && s.finish == ""
		return s
	case piece.Type == "response.completed" || piece.Type == "response.incomplete":
		return said{form: providers.Responses, finish: piece.Response.Status}
	case piece.Type == "response.output_text.delta":
		s := said{form: providers.Responses}
		_ = json.Unmarshal(piece.Delta, &s.content) // anything else is not what was said
		return s
	case strings.HasPrefix(piece.Type, "response."):
		return said{form: providers.Responses, opens: piece.Type == "response.created"}
	case strings.HasPrefix(piece.Type, "message_"), strings.HasPrefix(piece.Type, "content_block_"):
		var delta struct {
			Text       string `json:"text"`
			StopReason string `json:"stop_reason"`
		}
		_ = json.Unmarshal(piece.Delta, &delta) // only some have one
		return said{form: providers.Messages, content: delta.Text, finish: delta.StopReason, opens: piece.Type == "message_start"}
	default:
		return said{}
	}
}

// readBody reads the answer of any endpoint.
func readBody(body json.RawMessage) said {
	type part struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	var whole struct {
		Object  string `json:"object"`
		Choices []struct {
			Message struct {
				Content string `json:"content"`
			} `json:"message"`
			FinishReason string `json:"finish_reason"`
		} `json:"choices"`
		Status string `json:"status"`
		Output []struct {
			Content []part `json:"content"`
		} `json:"output"`
		Type       string `json:"type"`
		Content    []part `json:"content"`
		StopReason string `json:"stop_reason"`
	}
	if json.Unmarshal(body, &whole) != nil {
		return said{}
	}
	join := func(s *said, parts []part) {
		for _, p := range parts {
			s.content += p.Text
		}
	}
	switch {
	case whole.Object == "chat.completion" && len(whole.Choices) > 0:
		first := whole.Choices[0]
		return said{form: providers.ChatCompletions, content: first.Message.Content, finish: first.FinishReason}
	case whole.Object == "response":
		s := said{form: providers.Responses, finish: whole.Status}
		for _, item := range whole.Output {
			join(&s, item.Content)
		}
		return s
	case whole.Type == "message":
		s := said{form: providers.Messages, finish: whole.StopReason}
		join(&s, whole.Content)
		return s
	default:
		return said{}
	}
}
