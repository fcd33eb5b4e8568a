package providers_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers"
)

func TestWaitingIsNoTry(t *testing.T) { // invariant 5
	t.Parallel()
	if policy := providers.RateLimited.Policy(); policy.Try || policy.Breaker || policy.Next != providers.RetryHere {
		t.Errorf("rate_limited: got %+v, want a retry here that is no try and leaves the breaker alone", policy)
	}
	if policy := providers.Cancelled.Policy(); policy.Try || policy.Breaker {
		t.Errorf("cancelled: got %+v, want it to count as nothing", policy)
	}
}

func TestUnknownClassIsFinal(t *testing.T) {
	t.Parallel()
	if policy := providers.Class("new").Policy(); policy.Next != providers.Final || !policy.Try {
		t.Errorf("got %+v, want final and a try", policy)
	}
}

func TestWhatATargetCannotCarryIsForAnother(t *testing.T) {
	t.Parallel()
	err := (&providers.UnsupportedError{Pointer: "/seed", Reason: "has no counterpart"}).Refuse()
	if policy := err.Policy(); policy.Next != providers.Failover || policy.Try || policy.Breaker {
		t.Errorf("got %+v, want failover that is no try and leaves the breaker alone", policy)
	}
	if err.Class != providers.BadRequest || err.Detail != "/seed: has no counterpart" || strings.Contains(err.Error(), "seed") {
		t.Errorf("got %v with detail %q", err, err.Detail)
	}
}

func TestErrorKeepsDetailAndPartialToItself(t *testing.T) {
	t.Parallel()
	err := &providers.Error{
		Class: providers.BadRequest, HTTPStatus: 400, Message: "refused", Detail: "the prompt", Partial: "the answer", Err: io.EOF,
	}
	if got, want := err.Error(), "bad_request (HTTP 400): refused"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, io.EOF) || providers.ClassOf(err) != providers.BadRequest {
		t.Error("cause or class lost")
	}
	if got := providers.ClassOf(io.EOF); got != providers.Connection {
		t.Errorf("an unclassified error is %q, want connection", got)
	}
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	for class, want := range map[providers.Class]bool{
		providers.TimeoutConnect: true, providers.TimeoutFirstToken: true, providers.TimeoutStall: true,
		providers.TimeoutTotal: true, providers.Connection: false, providers.Cancelled: false,
	} {
		if got := class.IsTimeout(); got != want {
			t.Errorf("%s: got %t, want %t", class, got, want)
		}
	}
}
