package gemini

import (
	"encoding/json"
	"strings"

	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/field"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// addCalls appends tool calls to parts.
func (r *request) addCalls(parts []part, v field.Value) ([]part, error) {
	calls, err := v.List()
	if err != nil {
		return nil, err
	}
	for _, call := range calls {
		p, err := readCall(call)
		if err != nil {
			return nil, err
		}
		r.calls[p.FunctionCall.ID] = p.FunctionCall.Name
		parts = append(parts, p)
	}
	return parts, nil
}

func readCall(v field.Value) (part, error) {
	call, members, err := v.ToolCall("extra_content")
	if err != nil {
		return part{}, err
	}
	signature, err := readSignature(members["extra_content"])
	return part{FunctionCall: &functionCall{call.ID, call.Name, call.Arguments}, ThoughtSignature: signature}, err
}

// readSignature reads {"google":{"thought_signature":…}}, which is where Google
// itself has chat completions carry the mark of what the model thought ahead of
// a tool call. Its newer models want it back.
func readSignature(v field.Value) (string, error) {
	if v.Raw == nil {
		return "", nil
	}
	extra, err := v.Object("google")
	if err != nil {
		return "", err
	}
	google, ok := extra["google"]
	if !ok {
		return "", nil
	}
	members, err := google.Object("thought_signature")
	if err != nil {
		return "", err
	}
	signature, ok := members["thought_signature"]
	if !ok {
		return "", nil
	}
	return signature.Text()
}

// extraOf is what readSignature reads.
func extraOf(signature string) json.RawMessage {
	if signature == "" {
		return nil
	}
	return append(append([]byte(`{"google":{"thought_signature":`), chat.Quote(signature)...), "}}"...)
}

// foreignSignature is the word that Google has for a tool call that no model of
// Gemini thought of. Source: the documentation of thought signatures, under
// "FAQs".
const foreignSignature = "skip_thought_signature_validator"

// markForeign marks tool calls without a signature as another model's, if model
// insists on one: it does so for the first call of each step.
func (r *request) markForeign(model string) {
	if !wantsSignatures(model) {
		return
	}
	for _, said := range r.Contents {
		for i := range said.Parts {
			if p := &said.Parts[i]; p.FunctionCall != nil {
				p.ThoughtSignature = transport.OrDefault(p.ThoughtSignature, foreignSignature)
				break
			}
		}
	}
}

// wantsSignatures knows the models from Gemini 3 on, and names without a number,
// such as gemini-flash-latest, which stand for the newest.
func wantsSignatures(model string) bool {
	name, ok := strings.CutPrefix(strings.TrimPrefix(model, "models/"), "gemini-")
	return ok && !strings.HasPrefix(name, "1") && !strings.HasPrefix(name, "2")
}
