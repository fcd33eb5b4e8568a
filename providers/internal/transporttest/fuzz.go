// Package transporttest is what the fuzz tests of the stream parsers have in
// common.
package transporttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// maxEvent bounds an event of a fuzzed stream.
const maxEvent = 1 << 16

// ReadTwice reads stream at once, and again byte by byte. It wants no memory used
// beyond a multiple of the stream's size, every error classified and without a
// body, and both readings to come to the same; of the bodies, which may hold what
// is made up, the caller has to say how far.
func ReadTwice(
	t *testing.T, stream []byte, read func(*transport.Events) (transport.Answer, error),
) (answer, again transport.Answer, err error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	answer, err = read(transport.NewEvents(bufio.NewReader(bytes.NewReader(stream)), maxEvent))
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20+uint64(len(stream))*2000 {
		t.Errorf("%d bytes made %d bytes of garbage", len(stream), grown)
	}
	slow := bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(stream)), 16)
	again, againErr := read(transport.NewEvents(slow, maxEvent))
	if (err == nil) != (againErr == nil) || again.Partial != answer.Partial {
		t.Errorf("byte by byte: got %v, %q, want %v, %q", againErr, again.Partial, err, answer.Partial)
	}
	if err == nil {
		return answer, again, nil
	}
	if _, ok := errors.AsType[*providers.Error](err); !ok || errors.Is(err, io.EOF) || answer.Body != nil {
		t.Errorf("got %v and body %s", err, answer.Body)
	}
	return answer, again, err
}

// Completion wants body to be a chat completion of so many choices, each of them
// the assistant's and at its end.
func Completion(t *testing.T, body json.RawMessage, choices int) {
	t.Helper()
	var completion struct {
		Object  string `json:"object"`
		Choices []struct {
			Message struct {
				Role string `json:"role"`
			} `json:"message"`
			FinishReason string `json:"finish_reason"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(body, &completion); err != nil || !utf8.Valid(body) {
		t.Fatalf("the answer is no JSON: %v: %q", err, body)
	}
	if completion.Object != "chat.completion" || len(completion.Choices) != choices {
		t.Errorf("the answer is no completion of %d choices: %s", choices, body)
	}
	for _, choice := range completion.Choices {
		if choice.Message.Role != "assistant" || choice.FinishReason == "" {
			t.Errorf("a choice is not whole: %s", body)
		}
	}
}

// Refusal wants err to refuse a request by a pointer and a reason, and again to
// say the same.
func Refusal(t *testing.T, err, again error) {
	t.Helper()
	unsupported, ok := errors.AsType[*providers.UnsupportedError](err)
	if !ok || unsupported.Reason == "" || unsupported.Pointer != "" && unsupported.Pointer[0] != '/' {
		t.Errorf("got %v", err)
	}
	if again == nil || again.Error() != err.Error() {
		t.Errorf("got %v, and then %v", err, again)
	}
}
