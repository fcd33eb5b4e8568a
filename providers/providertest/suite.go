// Package providertest says what a provider is: the suite that each wire
// format passes, and the replies of servers, good and bad, to run it on.
package providertest

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// Key is the API key that the provider under test has to be given, so that
// the suite can look for it where it must not be.
const Key = "sk-test-0123456789abcdef"

// Prompt is in the request of every [Wire], for the same reason.
const Prompt = "the prompt that nobody may log"

// Wire is how one wire format says what the suite needs said.
type Wire struct {
	// Request asks for an answer; its body contains Prompt.
	Request providers.Request
	// Answers are whole answers in every form the format has.
	Answers []Answer
	// Failures are the replies that are not.
	Failures []Failure
	// Slow is an answer whose first token comes after SlowFirst and whose next
	// piece SlowNext after that. SlowFirst is longer than SlowNext.
	Slow                Reply
	SlowFirst, SlowNext time.Duration
}

// Answer is a reply that is a whole answer.
type Answer struct {
	Name  string
	Reply Reply
	// Want is all of the response but Body and TimeToFirstToken. An empty
	// Model is not compared.
	Want providers.Response
	// Body is the response's body, compared as JSON values.
	Body string
	// Chunks is how many pieces onChunk is told of.
	Chunks int
}

// Failure is a reply that is no whole answer.
type Failure struct {
	Name  string
	Reply Reply
	// Want is what the error says. Message, Detail and Err are compared only
	// as far as they must not give anything away.
	Want providers.Error
}

// Open makes the provider under test, calling handler with the key Key. It
// closes it in t.Cleanup. Dial does for handler what a network would.
type Open func(t *testing.T, handler http.Handler) providers.Provider

// Run runs the suite on what open makes. Each subtest is a synctest bubble, so
// that waiting takes no time and a goroutine left behind fails it.
func Run(t *testing.T, wire Wire, open Open) {
	t.Helper()
	bubble := func(name string, test func(*testing.T)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, test)
		})
	}
	for _, answer := range wire.Answers {
		bubble("answer/"+answer.Name, func(t *testing.T) { testAnswer(t, wire, answer, open) })
	}
	for _, failure := range wire.Failures {
		bubble("failure/"+failure.Name, func(t *testing.T) { testFailure(t, wire, failure, open) })
	}
	for _, limit := range slowLimits(wire) {
		bubble("timeout/"+limit.name, func(t *testing.T) { testTimeout(t, wire, limit, open) })
	}
	bubble("no timeout", func(t *testing.T) { testPatience(t, wire, open) })
	bubble("slow listener", func(t *testing.T) { testSlowListener(t, wire, open) })
	bubble("cancelled before", func(t *testing.T) { testCancelledBefore(t, wire, open) })
	bubble("cancelled inside", func(t *testing.T) { testCancelledInside(t, wire, open) })
	bubble("deadline of the context", func(t *testing.T) { testContextDeadline(t, wire, open) })
	bubble("one request a call", func(t *testing.T) { testOneRequest(t, wire, open) })
	bubble("redirect", func(t *testing.T) { testRedirect(t, wire, open) })
	bubble("secrets", func(t *testing.T) { testSecrets(t, wire, open) })
	bubble("hanging error body", func(t *testing.T) { testHangingErrorBody(t, wire, open) })
	bubble("many at once", func(t *testing.T) { testMany(t, wire, open) })
}
