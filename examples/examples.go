// Package examples holds example input, for the demo and for tests.
package examples

import (
	"bytes"
	_ "embed" // for the prompts
	"io"
)

//go:embed prompts.jsonl
var prompts []byte

// Prompts returns 80 real prompts as an OpenAI batch input file; their origin
// and licence are in README.md beside it.
func Prompts() io.Reader { return bytes.NewReader(prompts) }
