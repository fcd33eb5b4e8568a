package gemini

import (
	"encoding/json"

	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/field"
)

// tools are functions the model may ask to be called.
type tools struct {
	Functions []declaration `json:"functionDeclarations"`
}

type declaration struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parametersJsonSchema,omitempty"`
}

func (r *request) readTools(v field.Value) error {
	list, err := v.List()
	if err != nil || len(list) == 0 {
		return err
	}
	functions := make([]declaration, 0, len(list))
	for _, element := range list {
		read, err := r.readTool(element)
		if err != nil {
			return err
		}
		functions = append(functions, read)
	}
	r.Tools = []tools{{functions}}
	return nil
}

func (r *request) readTool(v field.Value) (declaration, error) {
	function, _, err := v.Function()
	if err != nil {
		return declaration{}, err
	}
	told, err := function.Object("name", "description", "parameters", "strict")
	if err != nil {
		return declaration{}, err
	}
	read := declaration{Parameters: told["parameters"].Raw}
	if read.Name, err = function.Required(told, "name"); err != nil {
		return declaration{}, err
	}
	if description, ok := told["description"]; ok {
		if read.Description, err = description.Text(); err != nil {
			return declaration{}, err
		}
	}
	if strict, ok := told["strict"]; ok {
		wanted, err := strict.Bool()
		if err != nil {
			return declaration{}, err
		}
		r.strict = r.strict || wanted
	}
	if chat.IsEmpty(read.Parameters) {
		read.Parameters = nil
		return read, nil
	}
	_, err = told["parameters"].Members()
	return read, err
}
