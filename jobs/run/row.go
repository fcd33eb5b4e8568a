package run

import (
	"strings"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// maxMessage bounds a job's error message, in bytes: ours and the provider's.
const maxMessage = 4 << 10

// callOf returns the call's row, closed.
func callOf(w jobs.Work, a attempt) jobs.Call {
	c := jobs.Call{
		ID: w.Call, Execution: w.Task.Execution, Fence: w.Task.Fence, Tenant: w.Tenant, RequestHash: w.RequestHash,
		Provider: w.Provider, Model: w.Model, Latency: a.latency, CreatedAt: a.begun,
	}
	if e := a.failure; e != nil {
		c.Status, c.ErrorClass, c.HTTPStatus = statusOf(e.Class), e.Class, e.HTTPStatus
		c.TimeToFirstToken, c.Usage, c.ProviderRequestID = e.TimeToFirstToken, e.Usage, e.RequestID
		c.Partial = safe(e.Partial, jobs.MaxPartial)
	} else if a.held == nil {
		c.Status, c.HTTPStatus = jobs.CallSuccess, a.response.HTTPStatus
		c.TimeToFirstToken, c.Usage = a.response.TimeToFirstToken, a.response.Usage
		c.ProviderRequestID, c.ServedModel = a.response.RequestID, safe(a.response.Model, jobs.MaxServedModel)
	}
	if a.held != nil {
		c.Status, c.ErrorClass = jobs.CallCancelled, providers.Cancelled
	}
	return c
}

func statusOf(c providers.Class) jobs.CallStatus {
	switch {
	case c.IsTimeout():
		return jobs.CallTimeout
	case c == providers.Cancelled:
		return jobs.CallCancelled
	default:
		return jobs.CallFailure
	}
}

// withDetail returns our message with the provider's own explanation.
func withDetail(message, detail string) string {
	if detail == "" {
		return message
	}
	return safe(message+": "+detail, maxMessage)
}

// safe returns s as every store can keep it: valid UTF-8 without NUL, and at
// most so many bytes.
func safe(s string, most int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
