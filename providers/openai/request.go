package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
)

// member is one name and value of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// streams says whether req is asked for as a stream.
func (p *Provider) streams(req providers.Request) bool {
	return req.Endpoint != providers.Embeddings && !p.config.NoStreaming
}

// requestBody is req's body with the model replaced, streaming switched on or
// off, and storing at the server off. Everything else stays as it was, in its
// order.
func (p *Provider) requestBody(req providers.Request) ([]byte, error) {
	if err := p.config.refusal(req); err != nil {
		return nil, err
	}
	members, err := objectMembers(req.Body)
	if err != nil {
		return nil, &providers.Error{Class: providers.BadRequest, Message: "the request's body is not a JSON object"}
	}
	if req.Model != "" {
		model, err := json.Marshal(req.Model)
		if err != nil {
			return nil, &providers.Error{Class: providers.BadRequest, Message: "the model cannot be written as JSON"}
		}
		members = setMember(members, "model", model)
	}
	switch req.Endpoint {
	case providers.ChatCompletions:
		members = p.setStreaming(members)
	case providers.Responses:
		members = setMember(members, "stream", json.RawMessage(strconv.FormatBool(!p.config.NoStreaming)))
		members = setMember(members, "store", json.RawMessage("false")) // true is what leaving it out means
	}
	return appendObject(nil, members), nil
}

func (p *Provider) setStreaming(members []member) []member {
	if p.config.NoStreaming {
		return slices.DeleteFunc(members, func(m member) bool { return m.name == "stream" || m.name == "stream_options" })
	}
	members = setMember(members, "stream", json.RawMessage("true"))
	if p.config.NoStreamOptions {
		return slices.DeleteFunc(members, func(m member) bool { return m.name == "stream_options" })
	}
	i := slices.IndexFunc(members, func(m member) bool { return m.name == "stream_options" })
	var options []member
	if i >= 0 {
		options, _ = objectMembers(members[i].value) // null, or not an object: replaced
	}
	options = setMember(options, "include_usage", json.RawMessage("true"))
	return setMember(members, "stream_options", appendObject(nil, options))
}

// setMember sets the last member of that name, which is the one that counts,
// or adds one.
func setMember(members []member, name string, value json.RawMessage) []member {
	for i, m := range slices.Backward(members) {
		if m.name == name {
			members[i].value = value
			return members
		}
	}
	return append(members, member{name, value})
}

// objectMembers takes a JSON object apart, keeping order and raw values.
func objectMembers(object json.RawMessage) ([]member, error) {
	if !json.Valid(object) {
		return nil, errors.New("not valid JSON")
	}
	decoder := json.NewDecoder(bytes.NewReader(object))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	var members []member
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		members = append(members, member{name, value})
	}
	return members, nil
}

// appendObject writes members as a JSON object.
func appendObject(out []byte, members []member) []byte {
	out = append(out, '{')
	for i, m := range members {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, chat.Quote(m.name)...)
		out = append(out, ':')
		out = append(out, m.value...)
	}
	return append(out, '}')
}
