package openai

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// listJSON is a page of a list.
type listJSON[T any] struct {
	Object  string  `json:"object"`
	Data    []T     `json:"data"`
	FirstID *string `json:"first_id"`
	LastID  *string `json:"last_id"`
	HasMore bool    `json:"has_more"`
}

// newList is a page of which id tells the ids.
func newList[T any](data []T, more bool, id func(T) string) listJSON[T] {
	list := listJSON[T]{Object: "list", Data: data, HasMore: more}
	if len(data) > 0 {
		list.FirstID, list.LastID = new(id(data[0])), new(id(data[len(data)-1]))
	}
	return list
}

// item is one of the input, with the id that it has or was given.
type item struct {
	id  string
	raw json.RawMessage
}

// MarshalJSON writes the item.
func (i item) MarshalJSON() ([]byte, error) { return i.raw, nil }

// inputItems is GET /v1/responses/{id}/input_items.
func (s *Surface) inputItems(x *exchange) error {
	limit, err := limitOf(x, 20, 100)
	if err != nil {
		return err
	}
	query := x.r.URL.Query()
	order := query.Get("order")
	if order != "" && order != "asc" && order != "desc" {
		return jobs.Invalid("/order", "must be asc or desc")
	}
	a, err := s.find(x)
	if err != nil {
		return err
	}
	items, err := a.items()
	if err != nil {
		return err
	}
	if order != "asc" {
		slices.Reverse(items)
	}
	if after := query.Get("after"); after != "" {
		at := slices.IndexFunc(items, func(i item) bool { return i.id == after })
		if at < 0 {
			return jobs.Invalid("/after", "must be the id of an item of the list")
		}
		items = items[at+1:]
	}
	page := items[:min(limit, len(items))]
	return surface.WriteJSON(x.w, http.StatusOK, newList(page, len(page) < len(items), func(i item) string { return i.id }))
}

// limitOf reads how many a page may have.
func limitOf(x *exchange, usual, most int) (int, error) {
	text := x.r.URL.Query().Get("limit")
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, jobs.Invalid("/limit", "must be 1 to %d", most)
	}
	return n, nil
}

// items are the input of the request, oldest first, in the form of items: each has a
// type and an id, and the content of messages is a list.
func (a asked) items() ([]item, error) {
	request, err := readObject(a.request)
	if err != nil {
		return nil, err
	}
	input, _ := request.get("input")
	raws := []json.RawMessage{}
	if json.Unmarshal(input, &raws) != nil {
		raws = []json.RawMessage{object{{"role", quote("user")}, {"content", input}}.encode()}
	}
	items := make([]item, len(raws))
	for i, raw := range raws {
		if items[i], err = a.item(i, raw); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// item is the nth of the input.
func (a asked) item(n int, raw json.RawMessage) (item, error) {
	o, err := readObject(raw)
	if err != nil { // its provider has refused it, too
		return item{}, jobs.Invalid(fmt.Sprintf("/input/%d", n), "is not an object of at most %d members", maxMembers)
	}
	kind, ok := o.get("type")
	if !ok {
		kind = quote("message")
		o = o.set("type", kind)
	}
	if textOf(kind) == "message" {
		o = withParts(o)
	}
	id, ok := o.get("id")
	if !ok {
		id = quote(fmt.Sprintf("%s_%s_%d", idWord(textOf(kind)), surface.ResponseID(a.job.ID)[len("resp_"):], n))
		o = o.set("id", id)
	}
	return item{id: textOf(id), raw: o.encode()}, nil
}

// withParts makes a list of the content of a message that is a text.
func withParts(o object) object {
	content, _ := o.get("content")
	if len(content) == 0 || content[0] != '"' {
		return o
	}
	role, _ := o.get("role")
	part := object{{"type", quote("input_text")}, {"text", content}}
	if textOf(role) == "assistant" {
		part = object{{"type", quote("output_text")}, {"text", content}, {"annotations", json.RawMessage("[]")}}
	}
	return o.set("content", json.RawMessage("["+string(part.encode())+"]"))
}

// idWord is how the ids of items of a kind begin.
func idWord(kind string) string {
	switch kind {
	case "message":
		return "msg"
	case "function_call":
		return "fc"
	case "function_call_output":
		return "fco"
	case "reasoning":
		return "rs"
	default:
		return "item"
	}
}
