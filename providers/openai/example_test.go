package openai_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/openai"
)

func ExampleProvider_Call() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, `data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}`+"\n\n"+
			`data: {"choices":[{"index":0,"delta":{"content":" you"},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
	}))
	defer server.Close()

	provider, err := openai.New(openai.Config{BaseURL: server.URL + "/v1", APIKey: "sk-secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := provider.Call(context.Background(), providers.Request{
		Endpoint: providers.ChatCompletions,
		Model:    "llama3",
		Body:     json.RawMessage(`{"messages":[{"role":"user","content":"Hi"}]}`),
	}, func(chunk providers.Chunk) { fmt.Printf("%d bytes more\n", len(chunk.Data)) })
	fmt.Println(string(answer.Body), err)
	// Output:
	// 53 bytes more
	// 75 bytes more
	// {"object":"chat.completion","choices":[{"index":0,"message":{"content":"Hello you","refusal":null,"role":"assistant"},"logprobs":null,"finish_reason":"stop"}]} <nil>
}
