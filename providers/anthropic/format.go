package anthropic

import (
	"encoding/json"

	"github.com/penstock-dev/penstock/providers/internal/chat"
)

// outputFormat is the schema an answer has to follow. Messages knows no other
// format, and follows it always, as chat completions do with strict: true.
type outputFormat struct {
	Type   string          `json:"type"`
	Schema json.RawMessage `json:"schema"`
}

func (r *request) readFormat(v value) error {
	format, err := v.object("type", "json_schema")
	if err != nil {
		return err
	}
	kind, err := required(v, format, "type")
	switch {
	case err != nil:
		return err
	case kind == "text":
		return nil
	case kind != "json_schema":
		return format["type"].refuse("must be text or json_schema: Messages has no JSON without a schema")
	}
	named, ok := format["json_schema"]
	if !ok {
		return v.child("json_schema", nil).refuse("is required")
	}
	schema, err := readNamedSchema(named)
	if err != nil {
		return err
	}
	r.output().Format = &outputFormat{Type: "json_schema", Schema: schema}
	return nil
}

// readNamedSchema puts name and description, which Messages has no place for,
// into the schema as its title and description unless it has its own.
func readNamedSchema(v value) (json.RawMessage, error) {
	named, err := v.object("name", "description", "schema", "strict")
	if err != nil {
		return nil, err
	}
	schema, ok := named["schema"]
	if !ok {
		return nil, v.child("schema", nil).refuse("is required in Messages")
	}
	members, err := chat.ReadObject(schema.raw)
	if err != nil {
		return nil, schema.refuse("must be an object")
	}
	if err := annotate(members, "title", named["name"]); err != nil {
		return nil, err
	}
	if err := annotate(members, "description", named["description"]); err != nil {
		return nil, err
	}
	return json.Marshal(members)
}

// annotate sets the schema's keyword to note. The name of a format is a label:
// a title may win over it. A description shapes the answer, so there can be one.
func annotate(schema chat.Object, keyword string, note value) error {
	if note.raw == nil {
		return nil
	}
	text, err := note.text()
	if err != nil {
		return err
	}
	if chat.IsNull(schema[keyword]) {
		schema[keyword] = note.raw
	} else if keyword == "description" && chat.Text(schema[keyword]) != text {
		return note.refuse("differs from the schema's own: Messages has one description")
	}
	return nil
}
