package gemini

import "github.com/penstock-dev/penstock/providers/internal/field"

// readFormat reads which form the answer has to have. Gemini follows a schema
// always, as chat completions do with strict: true.
func (r *request) readFormat(v field.Value) error {
	format, err := v.Object("type", "json_schema")
	if err != nil {
		return err
	}
	kind, err := v.Required(format, "type")
	if err != nil {
		return err
	}
	switch kind {
	case "text":
		return nil
	case "json_object":
		r.Generation.ResponseMimeType = "application/json"
		return nil
	case "json_schema":
		named, ok := format["json_schema"]
		if !ok {
			return v.Child("json_schema", nil).Refuse("is required")
		}
		r.Generation.ResponseMimeType = "application/json"
		r.Generation.ResponseSchema, err = named.NamedSchema()
		return err
	default:
		return format["type"].Refuse("must be text, json_object or json_schema")
	}
}
