package jobs

import (
	"errors"
	"fmt"
)

// Code says what kind of thing went wrong, in the words of the public API.
type Code string

// The codes of an [Error].
const (
	CodeInvalidField        Code = "invalid_field"
	CodeUnknownModel        Code = "unknown_model"
	CodeUnknownUseCase      Code = "unknown_use_case"
	CodeNotFound            Code = "not_found"
	CodeConflict            Code = "conflict"
	CodeIdempotencyMismatch Code = "idempotency_mismatch"
	CodeStoreUnavailable    Code = "store_unavailable"
	// CodeRedactionUnavailable says that a [Redactor] failed: nothing was kept.
	CodeRedactionUnavailable Code = "redaction_unavailable"
	// CodeSecretKeyMissing says that secrets cannot be kept, for there is no key to
	// seal them with.
	CodeSecretKeyMissing Code = "secret_key_missing"
)

// Error is a failure with a code and a message that a client may see.
type Error struct {
	Code Code
	// Message is safe to show a client.
	Message string
	// Pointer is the RFC 6901 JSON pointer of the field at fault, if one is.
	Pointer string
	// Err is the cause, for the log alone.
	Err error
}

// Error says the code, the field, the message and the cause.
func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Message
	if e.Pointer != "" {
		s = fmt.Sprintf("%s: %s: %s", e.Code, e.Pointer, e.Message)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error with the same code, so that
// errors.Is(err, ErrNotFound) works for every error of that code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Invalid returns an error that names the field at fault by its JSON pointer.
func Invalid(pointer, format string, args ...any) *Error {
	return &Error{Code: CodeInvalidField, Pointer: pointer, Message: fmt.Sprintf(format, args...)}
}

// Errors a store answers with, beside failures of its own. A store wraps every
// failure to reach its database as code [CodeStoreUnavailable].
var (
	ErrNotFound            = &Error{Code: CodeNotFound, Message: "no such job"}
	ErrLive                = &Error{Code: CodeConflict, Message: "the job has not ended; cancel it first"}
	ErrNotEnded            = &Error{Code: CodeConflict, Message: "only a job that has ended can be retried"}
	ErrIdempotencyMismatch = &Error{
		Code:    CodeIdempotencyMismatch,
		Message: "this Idempotency-Key was used for another submission",
	}
)

var (
	// ErrStale says that a task's fence is past, or that it is another's: the
	// worker must change nothing.
	ErrStale = errors.New("stale task")
	// ErrProlonged says that a job has attached for which the outcome is none: one
	// with a later deadline, see [Outcome.StopAt], or one that would not degrade,
	// see [Outcome.Degraded].
	ErrProlonged = errors.New("execution was prolonged")
)

// Unavailable wraps err as a failure to reach the store.
func Unavailable(err error) *Error {
	return &Error{Code: CodeStoreUnavailable, Message: "the store cannot be reached; " +
		"whether the request was kept is unknown: repeat it with the same Idempotency-Key", Err: err}
}
