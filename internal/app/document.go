package app

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// readDocument reads one YAML document into f. Its errors say where what is wrong
// is, without the line itself: it may hold a key.
func readDocument(raw []byte, f *File) error {
	if err := yaml.UnmarshalWithOptions(raw, f, yaml.DisallowUnknownField()); err != nil {
		return inOurWords(err)
	}
	doc, err := parser.ParseBytes(raw, 0)
	if err != nil {
		return inOurWords(err)
	}
	var bodies int
	var whole wholeNumbers
	for _, d := range doc.Docs {
		if d.Body == nil || d.Body.Type() == ast.CommentGroupType {
			continue
		}
		if bodies++; bodies > 1 {
			return at(d.Body, "expected one document, and nothing behind a second ---")
		}
		ast.Walk(&whole, d.Body)
	}
	return whole.err
}

// whole are the keys whose values are whole numbers. The decoder takes 0.5 for 0,
// which is no limit.
var whole = []string{"bulk", "concurrency", "itpm", "live", "max_attempts", "max_bytes", "max_tokens", "otpm", "rpm", "seed", "slow"}

// wholeNumbers finds the first number that should be whole and is not.
type wholeNumbers struct{ err error }

// Visit looks at one key with its value.
func (w *wholeNumbers) Visit(n ast.Node) ast.Visitor {
	pair, ok := n.(*ast.MappingValueNode)
	if !ok || w.err != nil {
		return w
	}
	fractions := []ast.NodeType{ast.FloatType, ast.InfinityType, ast.NanType}
	if slices.Contains(fractions, pair.Value.Type()) && slices.Contains(whole, pair.Key.String()) {
		w.err = at(pair.Value, "expected a whole number")
	}
	return w
}

func at(n ast.Node, why string) error {
	return inOurWords(&yaml.SyntaxError{Message: why, Token: n.GetToken()})
}

// inOurWords is an error of the decoder in our words, with line and column.
func inOurWords(err error) error {
	if e, ok := errors.AsType[*yaml.TypeError](err); ok {
		err = &yaml.SyntaxError{Message: "expected " + expected(e.DstType), Token: e.Token}
	} else if e, ok := errors.AsType[*yaml.OverflowError](err); ok {
		err = &yaml.SyntaxError{Message: "expected a smaller number", Token: e.Token}
	}
	first, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
	return wrong("PENSTOCK_CONFIG", "%s", first)
}

// expected is what a value of that type is in YAML.
func expected(t reflect.Type) string {
	if t == reflect.TypeFor[time.Duration]() {
		return "a duration such as 5s"
	}
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "a number"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	default:
		return "keys with values"
	}
}
