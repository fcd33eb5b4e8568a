package chat

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// node is a JSON value that grows by merging pieces of it.
//
// Strings are joined, but for those that name something (see whole), of which
// the last counts. Objects are merged member by member. Arrays whose elements
// have an "index" are merged by it, others are appended to. Of everything else
// the last value counts; null changes nothing.
type node struct {
	kind   kind
	raw    []byte           // of a scalar the value, of text and list what is between the quotes or brackets
	fields map[string]*node // of an object
	items  map[int64]*node  // of an indexed list
	last   int64            // index of the item touched last
}

type kind byte

const (
	kindNull kind = iota
	kindScalar
	kindText
	kindList
	kindIndexed
	kindObject
)

// maxDepth is how deep pieces are merged; below, the last value counts. Every
// level is parsed again, and a hostile answer may be nested ten thousand deep.
const maxDepth = 6

// whole names the strings that servers repeat or send once, never in pieces.
var whole = map[string]bool{"id": true, "type": true, "role": true, "name": true, "format": true, "object": true}

func newNode() *node { return &node{} }

// merge adds the piece raw, valid JSON, which is the member called name.
func (n *node) merge(name string, raw json.RawMessage, depth int, budget *int) {
	switch {
	case IsNull(raw):
	case raw[0] == '"' && !whole[name]:
		n.become(kindText)
		n.raw = append(n.raw, raw[1:len(raw)-1]...)
	case raw[0] == '"' && len(raw) == len(`""`) && n.kind == kindScalar:
		// a repeated name left empty
	case raw[0] == '{' && depth < maxDepth:
		if piece, err := ReadObject(raw); err == nil {
			n.mergeObject(piece, depth, budget)
		}
	case raw[0] == '[' && depth < maxDepth:
		n.mergeArray(name, raw, depth, budget)
	default:
		n.become(kindScalar)
		n.raw = raw
	}
}

// become turns n into kind, forgetting what it was if that was another.
func (n *node) become(kind kind) {
	if n.kind != kind {
		*n = node{kind: kind}
	}
}

func (n *node) mergeObject(piece Object, depth int, budget *int) {
	n.become(kindObject)
	if n.fields == nil {
		n.fields = map[string]*node{}
	}
	for name, value := range piece {
		field := n.fields[name]
		if field == nil {
			*budget--
			if *budget < 0 {
				return
			}
			field = newNode()
			n.fields[name] = field
		}
		field.merge(name, value, depth+1, budget)
	}
}

// mergeArray merges by index when the elements have one. Tool calls have to:
// a server that leaves it out means the call touched last, unless the piece
// brings another id.
func (n *node) mergeArray(name string, raw json.RawMessage, depth int, budget *int) {
	var elements []Object
	if json.Unmarshal(raw, &elements) != nil || len(elements) == 0 {
		n.appendElements(raw)
		return
	}
	isIndexed := n.kind == kindIndexed || name == "tool_calls" || !IsNull(elements[0]["index"])
	if !isIndexed {
		n.appendElements(raw)
		return
	}
	n.become(kindIndexed)
	if n.items == nil {
		n.items = map[int64]*node{}
	}
	for _, element := range elements {
		item := n.item(element, budget)
		if item == nil {
			return
		}
		item.mergeObject(element, depth+1, budget)
	}
}

// item is the one that element belongs to, made if need be; nil when the
// budget is spent.
func (n *node) item(element Object, budget *int) *node {
	var index int64
	switch raw := element["index"]; {
	case !IsNull(raw) && json.Unmarshal(raw, &index) == nil:
	case len(n.items) > 0 && !n.startsAnother(element):
		index = n.last
	case len(n.items) > 0:
		index = n.last + 1
	}
	n.last = index
	item := n.items[index]
	if item == nil {
		*budget--
		if *budget < 0 {
			return nil
		}
		item = newNode()
		n.items[index] = item
	}
	return item
}

// startsAnother says whether element, which has no index, has another id than
// the item touched last.
func (n *node) startsAnother(element Object) bool {
	if IsEmpty(element["id"]) {
		return false
	}
	id := n.items[n.last].fields["id"]
	return id == nil || string(id.raw) != string(element["id"])
}

// appendElements appends the elements of the array raw unseen.
func (n *node) appendElements(raw json.RawMessage) {
	if n.kind == kindIndexed {
		return // elements of another shape in a list of indexed ones
	}
	n.become(kindList)
	inner := bytes.TrimSpace(raw[1 : len(raw)-1])
	if len(inner) == 0 {
		return
	}
	if len(n.raw) > 0 {
		n.raw = append(n.raw, ',')
	}
	n.raw = append(n.raw, inner...)
}

// complete makes of a merged delta a message: the members every message has,
// and no index in its tool calls.
func (n *node) complete() {
	n.become(kindObject)
	if n.fields == nil {
		n.fields = map[string]*node{}
	}
	if n.fields["role"] == nil || n.fields["role"].kind == kindNull {
		n.fields["role"] = &node{kind: kindScalar, raw: []byte(`"assistant"`)}
	}
	for _, name := range []string{"content", "refusal"} {
		if n.fields[name] == nil {
			n.fields[name] = newNode()
		}
	}
	calls := n.fields["tool_calls"]
	if calls == nil {
		return
	}
	for _, call := range calls.items {
		delete(call.fields, "index")
	}
}

func (n *node) appendJSON(out []byte) []byte {
	switch n.kind {
	case kindScalar:
		return append(out, n.raw...)
	case kindText:
		return append(append(append(out, '"'), n.raw...), '"')
	case kindList:
		return append(append(append(out, '['), n.raw...), ']')
	case kindIndexed:
		out = append(out, '[')
		for i, index := range slices.Sorted(maps.Keys(n.items)) {
			if i > 0 {
				out = append(out, ',')
			}
			out = n.items[index].appendJSON(out)
		}
		return append(out, ']')
	case kindObject:
		out = append(out, '{')
		for _, name := range slices.Sorted(maps.Keys(n.fields)) {
			out = n.fields[name].appendJSON(appendName(out, name))
		}
		return append(out, '}')
	default:
		return append(out, "null"...)
	}
}

func number(n int64) []byte { return strconv.AppendInt(nil, n, 10) }
