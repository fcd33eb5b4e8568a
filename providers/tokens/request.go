package tokens

import "bytes"

const (
	// What belongs to a message, to the answer that is asked for, and to a tool,
	// beside their texts.
	perMessage, perAnswer, perTool, perToolParameter = 4, 3, 19, 3
	// maxDepth is how deep a body is looked into: what is deeper counts as text.
	maxDepth = 64
)

// request is what is looked at in a body.
type request struct {
	scan scanner
	text sampler
	// other counts what is not text.
	other int64
	// limit bounds each answer; 0 if it is not bounded. choices is how many are
	// asked for.
	limit, choices int64
	// patches says that images are counted by their area.
	patches bool
}

// read counts body's tokens. Its fields are those of all endpoints together:
// no two use one name for different things.
func (r *request) read() {
	r.choices = 1
	if !r.scan.enter('{') {
		return
	}
	for r.scan.more() {
		switch string(r.scan.text()) {
		case "messages", "input", "system", "instructions", "contents", "prompt":
			r.content(0)
		case "tools", "functions":
			r.schemas()
		case "response_format", "text":
			r.schema(0)
		case "max_tokens", "max_completion_tokens", "max_output_tokens":
			r.bound(r.scan.number())
		case "n":
			r.choices = min(max(1, r.scan.number()), 128)
		default:
			r.scan.skip()
		}
	}
}

func (r *request) bound(limit int64) {
	if limit > 0 && (r.limit == 0 || limit < r.limit) {
		r.limit = limit
	}
}

// content counts a text, or a list of messages or of their parts.
func (r *request) content(depth int) {
	switch r.scan.peek() {
	case '"':
		r.text.add(r.scan.text())
	case '[':
		if depth >= maxDepth {
			r.text.add(r.scan.skip())
			return
		}
		r.scan.enter('[')
		for r.scan.more() {
			r.content(depth + 1)
		}
	case '{':
		if depth >= maxDepth {
			r.text.add(r.scan.skip())
			return
		}
		r.part(depth + 1)
	default: // a number is a token of an embedding's input
		r.scan.skip()
		r.other++
	}
}

// part counts a message or a part of one.
func (r *request) part(depth int) {
	var held []byte // what may be an image, until its detail is known
	low := false
	r.scan.enter('{')
	for r.scan.more() {
		switch key := r.scan.text(); string(key) {
		case "role":
			r.scan.skip()
			r.other += perMessage
		case "detail":
			low = string(r.scan.text()) == "low"
		case "data", "file_data", "image_url", "url", "file_url":
			if r.scan.peek() != '"' {
				r.content(depth)
				continue
			}
			held = r.scan.text()
		case "arguments", "input":
			r.schema(depth)
		case "file_id":
			r.scan.skip()
			r.other += unknownDocument
		case "type", "id", "tool_call_id", "tool_use_id", "call_id", "status", "media_type", "format", "cache_control",
			"signature", "encrypted_content":
			r.scan.skip()
		default:
			r.content(depth)
		}
	}
	if len(held) == 0 {
		return
	}
	if tokens, ok := media(held, low, r.patches); ok {
		r.other += tokens
		return
	}
	r.text.add(held)
}

// schemas counts a list of tools.
func (r *request) schemas() {
	if !r.scan.enter('[') {
		r.scan.skip()
		return
	}
	for r.scan.more() {
		r.other += perTool
		r.schema(0)
	}
}

// schema counts JSON that a model sees in some form: its names and texts, and
// for each name a little, but for the words of JSON Schema itself.
func (r *request) schema(depth int) {
	open := r.scan.peek()
	if open != '{' && open != '[' || depth >= maxDepth {
		r.text.add(bytes.Trim(r.scan.skip(), `"`))
		return
	}
	r.scan.enter(open)
	for r.scan.more() {
		if open == '{' {
			if key := r.scan.text(); !structural(key) {
				r.other += perToolParameter
				r.text.add(key)
			}
		}
		r.schema(depth + 1)
	}
}

// structural reports whether key is a word of JSON Schema or of a tool's frame.
func structural(key []byte) bool {
	switch string(key) {
	case "type", "function", "name", "description", "parameters", "input_schema", "schema", "json_schema", "strict",
		"properties", "required", "enum", "items", "additionalProperties", "anyOf", "format", "$defs", "$ref":
		return true
	default:
		return false
	}
}
