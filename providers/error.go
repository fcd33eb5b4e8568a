package providers

import (
	"errors"
	"fmt"
	"time"
)

// Class says what went wrong with a call, in the same words for every
// provider. The words are part of the public API.
type Class string

// The error taxonomy.
const (
	RateLimited       Class = "rate_limited"
	QuotaExhausted    Class = "quota_exhausted"
	Overloaded        Class = "overloaded"
	ServerError       Class = "server_error"
	TimeoutConnect    Class = "timeout_connect"
	TimeoutFirstToken Class = "timeout_first_token"
	TimeoutStall      Class = "timeout_stall"
	TimeoutTotal      Class = "timeout_total"
	Connection        Class = "connection"
	Truncated         Class = "truncated"
	Malformed         Class = "malformed"
	InvalidOutput     Class = "invalid_output"
	ContentFiltered   Class = "content_filtered"
	BadRequest        Class = "bad_request"
	Authentication    Class = "authentication"
	Permission        Class = "permission"
	NotFound          Class = "not_found"
	ContextLength     Class = "context_length"
	Cancelled         Class = "cancelled"
)

// Next says what is worth doing after a failed call.
type Next int

// What to do next.
const (
	// Final: the same request will fail the same way everywhere.
	Final Next = iota
	// Failover: this target will not do, another may.
	Failover
	// RetryHere: the same target may succeed later.
	RetryHere
)

// Policy is what a class of error means for a run.
type Policy struct {
	Next Next
	// Breaker says whether the target's breaker counts the failure.
	Breaker bool
	// Try says whether the failure uses up one of the job's max_attempts.
	// Waiting is not failing: a 429 does not.
	Try bool
}

var policies = map[Class]Policy{
	RateLimited:       {Next: RetryHere},
	QuotaExhausted:    {Next: Failover, Try: true},
	Overloaded:        {Next: RetryHere, Breaker: true, Try: true},
	ServerError:       {Next: RetryHere, Breaker: true, Try: true},
	TimeoutConnect:    {Next: RetryHere, Breaker: true, Try: true},
	TimeoutFirstToken: {Next: RetryHere, Breaker: true, Try: true},
	TimeoutStall:      {Next: RetryHere, Breaker: true, Try: true},
	TimeoutTotal:      {Next: RetryHere, Breaker: true, Try: true},
	Connection:        {Next: RetryHere, Breaker: true, Try: true},
	Truncated:         {Next: RetryHere, Breaker: true, Try: true},
	Malformed:         {Next: RetryHere, Breaker: true, Try: true},
	InvalidOutput:     {Next: RetryHere, Try: true},
	ContentFiltered:   {Next: Failover, Try: true},
	BadRequest:        {Next: Final, Try: true},
	Authentication:    {Next: Failover, Breaker: true, Try: true},
	Permission:        {Next: Failover, Breaker: true, Try: true},
	NotFound:          {Next: Failover, Try: true},
	ContextLength:     {Next: Failover, Try: true},
	Cancelled:         {Next: Final},
}

// Policy returns what c means for a run. An unknown class is final and a try.
func (c Class) Policy() Policy {
	if p, ok := policies[c]; ok {
		return p
	}
	return Policy{Next: Final, Try: true}
}

// IsTimeout reports whether c is one of the four timeouts.
func (c Class) IsTimeout() bool {
	switch c {
	case TimeoutConnect, TimeoutFirstToken, TimeoutStall, TimeoutTotal:
		return true
	default:
		return false
	}
}

// Error is a call that brought no usable answer.
type Error struct {
	Class Class
	// HTTPStatus is the provider's; zero when there was no answer.
	HTTPStatus int
	// Message is in our own words and safe to log: no prompt, key or body.
	Message string
	// Detail is the provider's own explanation, at most 2 KiB. It may quote the
	// request, so it is for the tenant's eyes: never logged.
	Detail string
	// RetryAfter is the provider's hint of how long to wait, already clamped;
	// zero when it gave none.
	RetryAfter time.Duration
	// Usage is what the provider reported before the failure.
	Usage Usage
	// Partial is what arrived of the answer's text. It is the tenant's data:
	// it goes to the store and nowhere else.
	Partial string
	// TimeToFirstToken is zero when nothing arrived.
	TimeToFirstToken time.Duration
	RequestID        string
	// Quota is what the answer told of the provider's limits.
	Quota Quota
	// Unsupported is set when no call was made because the provider's format
	// cannot say what the request asks for: then another target may serve it.
	Unsupported *UnsupportedError
	// Err is the cause, if any. It may name hosts, never payloads.
	Err error
}

// Error says the class, the status and the safe message.
func (e *Error) Error() string {
	s := string(e.Class)
	if e.HTTPStatus != 0 {
		s = fmt.Sprintf("%s (HTTP %d)", s, e.HTTPStatus)
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	return s
}

// Policy returns what the failure means for a run: what its class does, but a
// call that was not made for want of words is no try, and another target may
// have them.
func (e *Error) Policy() Policy {
	if e.Unsupported != nil {
		return Policy{Next: Failover}
	}
	return e.Class.Policy()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf returns the class of err: that of the *[Error] in it, else
// [Connection], which is what an unclassified failure of a call is.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return Connection
}
