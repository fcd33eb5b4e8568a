package anthropic

import (
	"encoding/json"

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
	schema, err := named.NamedSchema()
	if err != nil {
		return err
	}
	r.output().Format = &outputFormat{Type: "json_schema", Schema: schema}
	return nil
}
