package surface

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
)

// Marshal writes v as JSON. It leaves <, > and & as they are: an answer's text is not
// for HTML.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return b.Bytes(), nil
}

// WriteJSON answers with v. If that cannot be said in JSON nothing is written.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	body, err := Marshal(v)
	if err != nil {
		return err
	}
	return WriteRaw(w, status, body)
}

// WriteRaw answers with what is JSON already.
func WriteRaw(w http.ResponseWriter, status int, body []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}
