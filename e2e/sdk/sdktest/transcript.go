package sdktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// Replay makes the request in a file, as testdata/python/README.md says how it is written,
// with values in the place of {{name}}, and returns the answer.
func (s *Stack) Replay(t *testing.T, file string, values map[string]string) (status int, header http.Header, body []byte) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range values {
		text = bytes.ReplaceAll(text, []byte("{{"+name+"}}"), []byte(value))
	}
	req, err := s.request(t, string(text))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return resp.StatusCode, resp.Header, body
}

// request reads a request.
func (s *Stack) request(t *testing.T, text string) (*http.Request, error) {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	line, fields, _ := strings.Cut(head, "\n")
	method, target, ok := strings.Cut(line, " ")
	if !ok || strings.Contains(text, "{{") {
		return nil, fmt.Errorf("no request line, or something in {{}} is not known: %s", line)
	}
	if strings.HasPrefix(target, "/") {
		target = s.URL + target
	}
	body = strings.TrimSuffix(body, "\n")
	if strings.Contains(fields, "multipart/form-data") {
		body = strings.ReplaceAll(body, "\n", "\r\n")
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for field := range strings.Lines(fields) {
		name, value, _ := strings.Cut(strings.TrimSpace(field), ": ")
		req.Header.Set(name, value)
	}
	return req, nil
}

// Has reports what of the wanted fields JSON has not: each is a path, such as
// content.0.text, and the kind of its value: string, number, boolean, array or object, with
// a ? behind it if null or nothing will do as well; or the value itself, quoted.
func Has(body []byte, wanted ...string) (missing []string) {
	var root any
	if err := json.Unmarshal(body, &root); err != nil {
		return []string{"JSON: " + err.Error()}
	}
	for _, want := range wanted {
		path, kind, _ := strings.Cut(want, " ")
		if got := at(root, path); !fits(got, kind) {
			missing = append(missing, fmt.Sprintf("%s (it is %v)", want, got))
		}
	}
	return missing
}

func at(value any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

func fits(value any, kind string) bool {
	if kind, optional := strings.CutSuffix(kind, "?"); optional {
		return value == nil || fits(value, kind)
	}
	switch v := value.(type) {
	case string:
		return kind == "string" || kind == fmt.Sprintf("%q", v)
	case float64:
		return kind == "number"
	case bool:
		return kind == "boolean"
	case []any:
		return kind == "array"
	case map[string]any:
		return kind == "object"
	default:
		return false
	}
}
