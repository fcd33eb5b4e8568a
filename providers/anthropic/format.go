package anthropic

import (
	"encoding/json"

	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/field"
)

// outputFormat is the schema an answer has to follow. Messages knows no other
// format, and follows it always, as chat completions do with strict: true.
type outputFormat struct {
	Type   string          `json:"type"`
	Schema json.RawMessage `json:"schema"`
}

func (r *request) readFormat(v field.Value) error {
	format, err := v.Object("type", "json_schema")
	if err != nil {
		return err
	}
	kind, err := v.Required(format, "type")
	switch {
	case err != nil:
		return err
	case kind == "text":
		return nil
	case kind != "json_schema":
		return format["type"].Refuse("must be text or json_schema: Messages has no JSON without a schema")
	}
	named, ok := format["json_schema"]
	if !ok {
		return v.Child("json_schema", nil).Refuse("is required")
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
func readNamedSchema(v field.Value) (json.RawMessage, error) {
	named, err := v.Object("name", "description", "schema", "strict")
	if err != nil {
		return nil, err
	}
	schema, ok := named["schema"]
	if !ok {
		return nil, v.Child("schema", nil).Refuse("is required in Messages")
	}
	members, err := chat.ReadObject(schema.Raw)
	if err != nil {
		return nil, schema.Refuse("must be an object")
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
func annotate(schema chat.Object, keyword string, note field.Value) error {
	if note.Raw == nil {
		return nil
	}
	text, err := note.Text()
	if err != nil {
		return err
	}
	if chat.IsNull(schema[keyword]) {
		schema[keyword] = note.Raw
	} else if keyword == "description" && chat.Text(schema[keyword]) != text {
		return note.Refuse("differs from the schema's own: Messages has one description")
	}
	return nil
}
