package simulated_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/simulated"
)

func Example() {
	server, err := simulated.New(simulated.Config{Seed: 1, Faults: &simulated.Faults{
		OutputTokens: simulated.Range{Min: 6, Max: 6},
	}})
	if err != nil {
		panic(err)
	}
	defer func() { _ = server.Close() }()
	provider := server.Provider()
	defer func() { _ = provider.Close() }()

	request := providers.Request{
		Endpoint: providers.ChatCompletions,
		Model:    "sim-small",
		Body:     json.RawMessage(`{"messages":[{"role":"user","content":"What is a penstock?"}]}`),
	}
	answer, err := provider.Call(context.Background(), request, nil)
	fmt.Println(answer.FinishReason, answer.Usage.OutputTokens, err)

	faults := simulated.Faults{Errors: map[string]float64{"rate_limited": 1}, RetryAfter: "2.5"}
	fmt.Println(server.SetFaults(faults))
	_, err = provider.Call(context.Background(), request, nil)
	fmt.Println(err)
	// Output:
	// stop 6 <nil>
	// <nil>
	// rate_limited (HTTP 429): the provider limits the rate of calls
}
