package anthropic_test

import (
	"encoding/json"
	"fmt"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/anthropic"
)

func ExampleCheck() {
	for _, body := range []string{
		`{"messages":[{"role":"user","content":"Hi"}],"temperature":0.2}`,
		`{"messages":[{"role":"user","content":"Hi"}],"temperature":1.2}`,
		`{"messages":[{"role":"user","content":"Hi"}],"seed":7}`,
	} {
		fmt.Println(anthropic.Check(providers.ChatCompletions, json.RawMessage(body)))
	}
	// Output:
	// <nil>
	// /temperature: must be a number from 0 to 1 in Messages
	// /seed: has no counterpart in Messages
}
