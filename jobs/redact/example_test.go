package redact_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/redact"
)

func ExampleNewRules() {
	rules, err := redact.NewRules([]redact.Rule{
		{Pattern: `(?i)\b[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,}\b`, Replace: "[email]"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	kept, err := rules.Redact(context.Background(), jobs.Sent{
		Request: json.RawMessage(`{"model": "default", "messages": [{"role": "user", "content": "Write to ada@example.org"}]}`),
		User:    "ada@example.org",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(kept.Request), kept.User)
	// Output:
	// {"model": "default", "messages": [{"role": "user", "content": "Write to [email]"}]} [email]
}
