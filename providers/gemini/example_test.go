package gemini_test

import (
	"encoding/json"
	"fmt"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/gemini"
)

func ExampleCheck() {
	for _, body := range []string{
		`{"messages":[{"role":"user","content":"Hi"}],"seed":7}`,
		`{"messages":[{"role":"user","content":"Hi"}],"n":9}`,
		`{"messages":[{"role":"user","content":"Hi"}],"logit_bias":{"5":1}}`,
	} {
		fmt.Println(gemini.Check(providers.ChatCompletions, json.RawMessage(body)))
	}
	// Output:
	// <nil>
	// /n: must be a whole number from 1 to 8 in Gemini
	// /logit_bias: has no counterpart in Gemini
}
