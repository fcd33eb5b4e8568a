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
	bubble := func(name string, rule func(fixture)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { rule(fixture{t, wire, open}) })
		})
	}
	t.Run("complete", func(t *testing.T) { complete(t, wire) })
	for _, answer := range wire.Answers {
		bubble("answer/"+answer.Name, func(f fixture) { f.answer(answer) })
	}
	for _, failure := range wire.Failures {
		bubble("failure/"+failure.Name, func(f fixture) { f.failure(failure) })
	}
	for _, limit := range slowLimits(wire) {
		bubble("timeout/"+limit.name, func(f fixture) { f.timeout(limit) })
	}
	bubble("no timeout", fixture.patience)
	bubble("slow listener", fixture.slowListener)
	bubble("cancelled before", fixture.cancelledBefore)
	bubble("cancelled inside", fixture.cancelledInside)
	bubble("deadline of the context", fixture.contextDeadline)
	bubble("one request a call", fixture.oneRequest)
	bubble("redirect", fixture.redirect)
	bubble("secrets", fixture.secrets)
	bubble("hanging error body", fixture.hangingErrorBody)
	bubble("many at once", fixture.many)
}
