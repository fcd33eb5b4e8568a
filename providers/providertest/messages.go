package providertest

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/providers"
)

// Messages is the wire of Anthropic's Messages, for a provider that passes them
// through.
func Messages() Wire {
	wire := Anthropic()
	wire.Request.Endpoint = providers.Messages
	wire.Request.Body = json.RawMessage(`{"model":"default","max_tokens":100,"messages":[{"role":"user","content":"` + Prompt + `"}]}`)
	answers := wire.Answers
	wire.Answers = nil
	for _, answer := range answers {
		answer.Body = helloMessage
		if answer.Chunks > 0 {
			answer.Chunks = 7
		}
		if answer.Name == "thought about first" { // a thought is a part of a message
			answer.Chunks = 11
			answer.Body = strings.Replace(helloMessage, `"content":[`,
				`"content":[{"type":"thinking","thinking":"Hm.","signature":"c2ln"},`, 1)
		}
		wire.Answers = append(wire.Answers, answer)
	}
	wire.Answers = append(wire.Answers, nativeAnswers()...)
	// A block of a kind to come goes through, and a pause is an answer.
	wire.Failures = slices.DeleteFunc(wire.Failures, func(f Failure) bool {
		return f.Name == "block of an unknown kind" || f.Name == "pause"
	})
	return wire
}

// nativeAnswers are those that only a caller of Messages itself can be given.
func nativeAnswers() []Answer {
	ending := func(stop string) string { return strings.Replace(endTurnEvent, "end_turn", stop, 1) }
	ended := func(stop string) string { return strings.Replace(helloMessage, "end_turn", stop, 1) }
	content := func(blocks, stop string) string {
		return strings.Replace(ended(stop), `{"type":"text","text":"Hello world"}`, blocks, 1)
	}
	finishing := func(finish string) providers.Response {
		want := anthropicWant
		want.FinishReason = finish
		return want
	}
	const (
		toolStart  = `{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}`
		toolHalf   = `{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}`
		toolRest   = `{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"1}"}}`
		novelStart = `{"type":"content_block_start","index":0,"content_block":{"type":"hologram","depth":[3]}}`
		citing     = `{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"cited_text":"x"}}}`
	)
	return []Answer{
		{
			Name: "uses a tool", Reply: Events(startEvent, toolStart, toolHalf, toolRest, textStopEvent, ending("tool_use"), messageStopEvent),
			Want: finishing("tool_calls"), Chunks: 7,
			Body: content(`{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}`, "tool_use"),
		},
		{
			Name: "cut inside a tool's input", Reply: Events(startEvent, toolStart, toolHalf, textStopEvent, ending("max_tokens"), messageStopEvent),
			Want: finishing("length"), Chunks: 6,
			Body: content(`{"type":"tool_use","id":"toolu_1","name":"f","input":{}}`, "max_tokens"),
		},
		{
			Name: "pauses, with a block of a kind to come", Reply: Events(startEvent, novelStart, textStopEvent, ending("pause_turn"), messageStopEvent),
			Want: finishing("pause_turn"), Chunks: 5, Body: content(`{"type":"hologram","depth":[3]}`, "pause_turn"),
		},
		{
			Name: "cites", Reply: Events(startEvent, textStartEvent, citing, helloEvent, worldEvent, textStopEvent, endTurnEvent, messageStopEvent),
			Want: anthropicWant, Chunks: 8,
			Body: content(`{"type":"text","text":"Hello world","citations":[{"cited_text":"x"}]}`, "end_turn"),
		},
	}
}
