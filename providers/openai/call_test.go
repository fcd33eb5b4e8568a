package openai_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/openai"
	"github.com/penstock-dev/penstock/providers/providertest"
)

type dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

// dialing makes a provider whose connections are made by dial.
func dialing(t *testing.T, dial dialer) *openai.Provider {
	t.Helper()
	provider, err := openai.New(openai.Config{BaseURL: "http://memory/v1", DialContext: dial})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = provider.Close() })
	return provider
}

func TestConnecting(t *testing.T) {
	t.Parallel()
	hang := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	refuse := func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	tooLong := func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ETIMEDOUT}
	}
	unknown := func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "memory", IsNotFound: true}
	}
	for _, c := range []struct {
		name     string
		dial     dialer
		timeouts providers.Timeouts
		want     providers.Class
		after    time.Duration
	}{
		{"hangs", hang, providers.Timeouts{Connect: time.Second, FirstToken: 1, Total: time.Hour}, providers.TimeoutConnect, time.Second},
		{"hangs beyond the total", hang, providers.Timeouts{Connect: time.Hour, Total: time.Minute}, providers.TimeoutTotal, time.Minute},
		{"refused", refuse, providers.Timeouts{Connect: time.Second}, providers.Connection, 0},
		{"timed out by the system", tooLong, providers.Timeouts{}, providers.TimeoutConnect, 0},
		{"unknown host", unknown, providers.Timeouts{Connect: time.Second}, providers.Connection, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				req := chatRequest
				req.Timeouts = c.timeouts
				_, err := dialing(t, c.dial).Call(t.Context(), req, nil)
				if got := classOf(err); got != c.want || time.Since(began) != c.after {
					t.Errorf("got %q after %s (%v), want %q after %s", got, time.Since(began), err, c.want, c.after)
				}
			})
		})
	}
}

// TestSlowConnectionIsNotTheModel lets a connection take longer than the first
// token may: the clocks follow each other.
func TestSlowConnectionIsNotTheModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reply := goodStream
		reply.Pieces = append([]providertest.Piece{{After: 2 * time.Second}}, reply.Pieces...)
		dial := providertest.Dial(t, reply)
		provider := dialing(t, func(ctx context.Context, network, addr string) (net.Conn, error) {
			time.Sleep(9 * time.Second)
			return dial(ctx, network, addr)
		})
		req := chatRequest
		req.Timeouts = providers.Timeouts{Connect: 10 * time.Second, FirstToken: 3 * time.Second}
		got, err := provider.Call(t.Context(), req, nil)
		if err != nil || got.TimeToFirstToken != 2*time.Second {
			t.Errorf("got %s to the first token, error %v, want 2s", got.TimeToFirstToken, err)
		}
	})
}

// TestRoleAndCommentsAreNoFirstToken: both come in time, the first token does
// not.
func TestRoleAndCommentsAreNoFirstToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reply := providertest.Stream(`{"choices":[{"delta":{"role":"assistant","content":""}}]}`)
		for range 5 {
			reply.Pieces = append(reply.Pieces, providertest.Piece{After: time.Second, Text: ": processing\n\n"})
		}
		reply.End = providertest.Hang
		req := chatRequest
		req.Timeouts = providers.Timeouts{FirstToken: 4500 * time.Millisecond, Stall: time.Second}
		_, err := open(t, reply).Call(t.Context(), req, nil)
		if got := classOf(err); got != providers.TimeoutFirstToken {
			t.Errorf("got %q (%v), want timeout_first_token", got, err)
		}
	})
}

// TestCommentsDoNotHideAStall: after the first token only chunks keep a call
// alive.
func TestCommentsDoNotHideAStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reply := providertest.Stream(
			`{"choices":[{"delta":{"content":"x"}}]}`, `{"choices":[{"delta":{}}]}`, `{"choices":[{"delta":{"role":"assistant"}}]}`,
		)
		reply.Pieces[1].After, reply.Pieces[2].After = 2*time.Second, 2*time.Second
		for range 5 {
			reply.Pieces = append(reply.Pieces, providertest.Piece{After: time.Second, Text: ": processing\n\n"})
		}
		req := chatRequest
		req.Timeouts = providers.Timeouts{Stall: 3 * time.Second}
		began := time.Now()
		_, err := open(t, reply).Call(t.Context(), req, nil)
		if got := classOf(err); got != providers.TimeoutStall || time.Since(began) != 7*time.Second {
			t.Errorf("got %q after %s (%v), want timeout_stall after 7s", got, time.Since(began), err)
		}
	})
}

// TestServerThatKeepsTheConnectionAfterDone costs the drain's grace, no more.
func TestServerThatKeepsTheConnectionAfterDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reply := goodStream
		reply.End = providertest.Hang
		began := time.Now()
		got, err := open(t, reply).Call(t.Context(), chatRequest, nil)
		if err != nil || got.FinishReason != "stop" || time.Since(began) > 100*time.Millisecond {
			t.Errorf("got %q after %s, error %v", got.FinishReason, time.Since(began), err)
		}
	})
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	dials := 0
	dial := providertest.Dial(t, goodStream)
	provider := dialing(t, func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials++
		return dial(ctx, network, addr)
	})
	for range 5 {
		if _, err := provider.Call(t.Context(), chatRequest, nil); err != nil {
			t.Fatal(err)
		}
	}
	if dials != 1 {
		t.Errorf("5 calls made %d connections, want 1", dials)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2000)
	chunk := `{"choices":[{"delta":{"content":"` + long + `"}}]}`
	parts := make([]string, 0, 100)
	for i := range 100 {
		parts = append(parts, fmt.Sprintf(`{"choices":[{"delta":{},"index":%d}]}`, i*1_000_003))
	}
	many := make([]string, 0, 129)
	for i := range 129 {
		many = append(many, fmt.Sprintf(`{"choices":[{"delta":{},"index":%d,"finish_reason":"stop"}]}`, i))
	}
	for name, c := range map[string]struct {
		reply  http.Handler
		config openai.Config
		want   providers.Class
	}{
		"line":           {providertest.Stream(chunk, chunk), openai.Config{MaxEventBytes: 1000}, providers.Malformed},
		"event":          {manyLines(), openai.Config{MaxEventBytes: 1000}, providers.Malformed},
		"stream":         {providertest.Stream(chunk, chunk, chunk), openai.Config{MaxAnswerBytes: 5000}, providers.Malformed},
		"whole":          {providertest.Whole(200, chunk), openai.Config{MaxAnswerBytes: 1000}, providers.Malformed},
		"few far apart":  {providertest.Stream(append(parts, "[DONE]")...), openai.Config{}, providers.Truncated},
		"choices":        {providertest.Stream(append(many, "[DONE]")...), openai.Config{}, providers.Malformed},
		"parts":          {providertest.Stream(manyCalls(70_000), "[DONE]"), openai.Config{}, providers.Malformed},
		"deep":           {providertest.Stream(deep(9000), "[DONE]"), openai.Config{}, ""},
		"exactly enough": {providertest.Whole(200, exact(1000)), openai.Config{MaxAnswerBytes: 1000}, ""},
		"one too many":   {providertest.Whole(200, exact(1001)), openai.Config{MaxAnswerBytes: 1000}, providers.Malformed},
	} {
		_, err := openWith(t, c.reply, c.config).Call(t.Context(), chatRequest, nil)
		if got := classOf(err); got != c.want {
			t.Errorf("%s: got %q (%v), want %q", name, got, err, c.want)
		}
	}
}

// manyLines is one event of many short lines.
func manyLines() providertest.Reply {
	reply := providertest.Stream()
	reply.Pieces = []providertest.Piece{{Text: strings.Repeat("data: 0123456789\n", 200) + "\n"}}
	return reply
}

// manyCalls is one chunk of n tool calls.
func manyCalls(n int) string {
	var calls strings.Builder
	for i := range n {
		fmt.Fprintf(&calls, `,{"index":%d}`, i)
	}
	return `{"choices":[{"delta":{"tool_calls":[` + calls.String()[1:] + `]},"finish_reason":"stop"}]}`
}

// deep is a chunk nested n levels deep.
func deep(n int) string {
	return `{"choices":[{"delta":{"x":` + strings.Repeat(`{"a":`, n) + `1` + strings.Repeat(`}`, n) + `},"finish_reason":"stop"}]}`
}

// exact is a whole answer of n bytes.
func exact(n int) string {
	const head, tail = `{"choices":[{"message":{"content":"`, `"},"finish_reason":"stop"}]}`
	return head + strings.Repeat("x", n-len(head)-len(tail)) + tail
}

func TestErrorDetailIsBounded(t *testing.T) {
	t.Parallel()
	_, err := open(t, providertest.Whole(400, strings.Repeat("é", 5000))).Call(t.Context(), chatRequest, nil)
	failure, ok := errors.AsType[*providers.Error](err)
	if !ok || len(failure.Detail) != 2048 || strings.Contains(failure.Detail, "\uFFFD") {
		t.Errorf("got %d bytes of detail", len(failure.Detail))
	}
}

func TestEmbeddings(t *testing.T) {
	t.Parallel()
	two := `{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":"AACAPw=="}],"usage":{"prompt_tokens":3,"total_tokens":3}}`
	for name, c := range map[string]struct {
		input, body string
		want        providers.Class
	}{
		"one text":              {`"a"`, goodEmbedding.Pieces[0].Text, ""},
		"two texts":             {`["a","b"]`, two, ""},
		"two of three":          {`["a","b","c"]`, two, providers.Truncated},
		"one list of tokens":    {`[1,2,3]`, goodEmbedding.Pieces[0].Text, ""},
		"three lists of tokens": {`[[1],[2],[3]]`, two, providers.Truncated},
		"empty vector":          {`"a"`, `{"data":[{"embedding":[]}]}`, providers.Malformed},
		"no vector":             {`"a"`, `{"data":[{}]}`, providers.Malformed},
		"no data":               {`"a"`, `{"object":"list"}`, providers.Malformed},
		"nothing in data":       {`"a"`, `{"data":[]}`, providers.Truncated},
		"an error":              {`"a"`, `{"error":"overloaded"}`, providers.ServerError},
		"empty":                 {`"a"`, ``, providers.Malformed},
	} {
		req := providers.Request{
			Endpoint: providers.Embeddings, Model: "e", Body: json.RawMessage(`{"input":` + c.input + `}`),
		}
		got, err := open(t, providertest.Whole(200, c.body)).Call(t.Context(), req, nil)
		if class := classOf(err); class != c.want {
			t.Errorf("%s: got %q (%v), want %q", name, class, err, c.want)
			continue
		}
		if err == nil && (string(got.Body) != c.body || got.Usage.InputTokens != 3 || !got.Usage.Known) {
			t.Errorf("%s: got %+v with body %s", name, got, got.Body)
		}
	}
}
