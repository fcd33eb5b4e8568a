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
	told, _, err := v.Tool()
	if err != nil {
		return declaration{}, err
	}
	r.strict = r.strict || told.Strict
	if chat.IsEmpty(told.Parameters.Raw) {
		return declaration{told.Name, told.Description, nil}, nil
	}
	_, err = told.Parameters.Members()
	return declaration{told.Name, told.Description, told.Parameters.Raw}, err
}
