// Package responses says requests to OpenAI's Responses as chat completions, and
// the answers to those as responses. It makes no call and keeps nothing. Source:
// the official Go SDK, version 3.95.
package responses

import (
	"encoding/json"

	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/field"
)

// itemReference is the type of an input item that names a stored one.
const itemReference = "item_reference"

// CheckStateless refuses what needs a response, a conversation or an item to be
// kept at a server: an *[providers.UnsupportedError] with the field. What is
// wrong with the body otherwise is left to others to say.
func CheckStateless(body json.RawMessage) error {
	request := field.Of(body, "Responses")
	members, _ := chat.ReadObject(body) // what is no object has none
	for _, s := range stateful {
		if raw := members[s.name]; !chat.IsEmpty(raw) {
			if err := s.check(request.Child(s.name, raw)); err != nil {
				return err
			}
		}
	}
	return nil
}

// stateful are the fields of a request that name or make what is kept.
var stateful = []struct {
	name  string
	check func(field.Value) error
}{
	{"previous_response_id", refuseState},
	{"conversation", refuseState},
	{"background", readBackground},
	{"store", readStore},
	{"input", checkReferences},
}

func refuseState(v field.Value) error {
	return v.Refuse("names what a server would have to keep, and no server keeps anything of a job: " +
		"give the whole conversation as input")
}

func readBackground(v field.Value) error {
	if background, err := v.Bool(); err == nil && background {
		return v.Refuse("must be left out or false: a job is in the background by itself")
	}
	return nil
}

func readStore(v field.Value) error {
	if store, err := v.Bool(); err == nil && store {
		return v.Refuse("must be left out or false: the job keeps the answer, and no server does")
	}
	return nil
}

// checkReferences finds items that stand for stored ones. Their type may be left
// out: what has neither type nor role is one.
func checkReferences(v field.Value) error {
	items, _ := v.List() // a text has none
	for _, item := range items {
		members, err := chat.ReadObject(item.Raw)
		if err == nil && isReference(members) {
			return refuseState(item)
		}
	}
	return nil
}

func isReference(item chat.Object) bool {
	kind := chat.Text(item["type"])
	return kind == itemReference || kind == "" && chat.IsEmpty(item["role"]) && !chat.IsEmpty(item["id"])
}
