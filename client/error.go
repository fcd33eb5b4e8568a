package client

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Error is what the API answered in place of what was asked for: a problem as in RFC 9457.
// What was not answered at all is the error of net/http.
type Error struct {
	// Status is that of HTTP.
	Status int `json:"status"`
	// Title is the status in words, and Detail what went wrong.
	Title  string `json:"title"`
	Detail string `json:"detail"`
	// Code is for programs to branch on; empty when it was not Penstock that answered.
	Code Code `json:"code"`
	// RequestID is under what name the request is in Penstock's log.
	RequestID string `json:"request_id"`
	// Fields say what is wrong with which field of the body.
	Fields []FieldError `json:"errors"`
	// RetryAfter is how long to wait before asking again; zero: nothing was said.
	RetryAfter time.Duration `json:"-"`
}

// FieldError is what is wrong with one field of a body.
type FieldError struct {
	// Pointer is a JSON pointer (RFC 6901).
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// Code says what went wrong. There are more than are named here: openapi.yaml has them all.
type Code string

// Codes that programs branch on.
const (
	CodeInvalidField        Code = "invalid_field"
	CodeUnknownModel        Code = "unknown_model"
	CodeForbidden           Code = "forbidden"
	CodeNotFound            Code = "not_found"
	CodeConflict            Code = "conflict"
	CodeBodyTooLarge        Code = "body_too_large"
	CodeIdempotencyMismatch Code = "idempotency_mismatch"
	CodeRateLimited         Code = "rate_limited"
	CodeStoreUnavailable    Code = "store_unavailable"
)

func (e *Error) Error() string {
	text := "penstock: " + strconv.Itoa(e.Status)
	if e.Code != "" {
		text += " " + string(e.Code)
	}
	if e.Detail != "" {
		return text + ": " + e.Detail
	}
	return text + ": " + e.Title
}

// maxProblem bounds what is read of an answer that is an error.
const maxProblem = 64 << 10

// errorOf reads what was answered in place of what was asked for.
func errorOf(resp *http.Response) *Error {
	e := &Error{}
	body, err := readAll(resp.Body, maxProblem)
	if err != nil || json.Unmarshal(body, e) != nil || e.Code == "" {
		// Something between here and Penstock has answered: its words are not for us.
		*e = Error{}
	}
	e.Status = resp.StatusCode
	if e.Title == "" {
		e.Title = http.StatusText(resp.StatusCode)
	}
	if e.RequestID == "" {
		e.RequestID = resp.Header.Get("X-Request-Id")
	}
	e.RetryAfter = retryAfter(resp.Header)
	return e
}

// retryAfter reads the header of that name (RFC 9110, section 10.2.3): seconds, or a date
// that is compared with the answer's own.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		return time.Duration(max(0, seconds)) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return max(0, at.Sub(now))
}
