package field

import (
	"encoding/json"
	"strings"

	"github.com/penstock-dev/penstock/providers/internal/chat"
)

// Function reads {"type":"function","function":…}, the only kind of tool and of
// tool call that other formats have a word for. Others of its members must be
// among also.
func (v Value) Function(also ...string) (function Value, members map[string]Value, err error) {
	members, err = v.Object(append(also, "type", "function")...)
	if err != nil {
		return Value{}, nil, err
	}
	kind, err := v.Required(members, "type")
	if err != nil {
		return Value{}, nil, err
	}
	if kind != "function" {
		return Value{}, nil, members["type"].Refuse("must be function: %s has nothing else of the kind", v.Format)
	}
	function, ok := members["function"]
	if !ok {
		return Value{}, nil, v.Child("function", nil).Refuse("is required")
	}
	return function, members, nil
}

// FunctionName is the name of the function that v, as Function reads it, names and
// says nothing else of.
func (v Value) FunctionName() (string, error) {
	function, _, err := v.Function()
	if err != nil {
		return "", err
	}
	named, err := function.Object("name")
	if err != nil {
		return "", err
	}
	return function.Required(named, "name")
}

// Tool is a function that the model may ask to be called.
type Tool struct {
	Name, Description string
	Strict            bool
	// Parameters is absent if there are none.
	Parameters Value
}

// Tool reads the declaration of a function. Other members of v must be among also.
func (v Value) Tool(also ...string) (tool Tool, members map[string]Value, err error) {
	function, members, err := v.Function(also...)
	if err != nil {
		return Tool{}, nil, err
	}
	told, err := function.Object("name", "description", "parameters", "strict")
	if err != nil {
		return Tool{}, nil, err
	}
	tool.Parameters = told["parameters"]
	if tool.Name, err = function.Required(told, "name"); err != nil {
		return Tool{}, nil, err
	}
	if description, ok := told["description"]; ok {
		if tool.Description, err = description.Text(); err != nil {
			return Tool{}, nil, err
		}
	}
	if strict, ok := told["strict"]; ok {
		tool.Strict, err = strict.Bool()
	}
	return tool, members, err
}

// ToolCall is a function that the model asked to be called.
type ToolCall struct {
	ID, Name  string
	Arguments json.RawMessage
}

// ToolCall reads a tool call, whose place in a list says nothing. Other members of
// v must be among also.
func (v Value) ToolCall(also ...string) (call ToolCall, members map[string]Value, err error) {
	function, members, err := v.Function(append(also, "id", "index")...)
	if err != nil {
		return ToolCall{}, nil, err
	}
	if call.ID, err = v.Required(members, "id"); err != nil {
		return ToolCall{}, nil, err
	}
	told, err := function.Object("name", "arguments")
	if err != nil {
		return ToolCall{}, nil, err
	}
	if call.Name, err = function.Required(told, "name"); err != nil {
		return ToolCall{}, nil, err
	}
	call.Arguments, err = told["arguments"].Arguments()
	return call, members, err
}

// Arguments is a tool's input: a JSON object within a string. Without any it is
// an empty object.
func (v Value) Arguments() (json.RawMessage, error) {
	if v.Raw == nil {
		return json.RawMessage("{}"), nil
	}
	text, err := v.Text()
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(text) == "" {
		return json.RawMessage("{}"), nil
	}
	if _, err := chat.ReadObject([]byte(text)); err != nil {
		return nil, v.Refuse("must be a JSON object in %s", v.Format)
	}
	return json.RawMessage(text), nil
}

// NamedSchema reads {"name":…,"description":…,"schema":…,"strict":…}. Name and
// description, which other formats have no place for, are put into the schema
// as its title and description unless it has its own.
func (v Value) NamedSchema() (json.RawMessage, error) {
	named, err := v.Object("name", "description", "schema", "strict")
	if err != nil {
		return nil, err
	}
	schema, ok := named["schema"]
	if !ok {
		return nil, v.Child("schema", nil).Refuse("is required in %s", v.Format)
	}
	members, err := chat.ReadObject(schema.Raw)
	if err != nil {
		return nil, schema.Refuse("must be an object")
	}
	if err := named["name"].annotate(members, "title"); err != nil {
		return nil, err
	}
	if err := named["description"].annotate(members, "description"); err != nil {
		return nil, err
	}
	return json.Marshal(members)
}

// annotate sets the schema's keyword to v. The name of a format is a label: a
// title may win over it. A description shapes the answer, so there can be one.
func (v Value) annotate(schema chat.Object, keyword string) error {
	if v.Raw == nil {
		return nil
	}
	text, err := v.Text()
	if err != nil {
		return err
	}
	if chat.IsNull(schema[keyword]) {
		schema[keyword] = v.Raw
	} else if keyword == "description" && chat.Text(schema[keyword]) != text {
		return v.Refuse("differs from the schema's own: %s has one description", v.Format)
	}
	return nil
}

// CutDataURL takes a data URL (RFC 2397) in base64 apart. The media type comes
// in lower case and without parameters.
func CutDataURL(address string) (mediaType, data string, ok bool) {
	rest, isData := strings.CutPrefix(address, "data:")
	head, data, hasData := strings.Cut(rest, ",")
	head, isBase64 := strings.CutSuffix(head, ";base64")
	mediaType, _, _ = strings.Cut(head, ";")
	return strings.ToLower(mediaType), data, isData && hasData && isBase64 && data != ""
}
