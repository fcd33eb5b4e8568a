package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"

	"github.com/penstock-dev/penstock/webhooks/guard"
)

// Verdict is what an attempt means for its delivery.
type Verdict int

// The zero Verdict is none.
const (
	_ Verdict = iota
	// Delivered: the endpoint said 2xx.
	Delivered
	// Failed: to be attempted again as the schedule says.
	Failed
	// Paused: a 429 or 503 that says how long the endpoint is to be left alone.
	Paused
	// TooLarge: the endpoint takes no body of that size; a thin one may do.
	TooLarge
	// Gone: the endpoint wants nothing any more.
	Gone
	// Broken: the sender was stopped in mid-attempt. It uses up no step.
	Broken
)

// String is the word that logs and metrics use.
func (v Verdict) String() string {
	words := map[Verdict]string{
		Delivered: "delivered", Failed: "failed", Paused: "paused", TooLarge: "too_large", Gone: "gone", Broken: "broken",
	}
	return words[v]
}

// Failure is the class of what went wrong, as attempt logs show it.
type Failure string

// The classes of failures. An answer that came is [FailureStatus] or, because
// redirects are never followed, [FailureRedirect].
const (
	FailureDNS      Failure = "dns"
	FailureConnect  Failure = "connect"
	FailureRefused  Failure = "refused_address"
	FailureTLS      Failure = "tls"
	FailureTimeout  Failure = "timeout"
	FailureBroken   Failure = "connection_broken"
	FailureRequest  Failure = "request"
	FailureStatus   Failure = "status"
	FailureRedirect Failure = "redirect"
)

// judge says what a status means. Only 2xx is success.
func judge(status int) (Verdict, Failure) {
	switch {
	case status >= 200 && status <= 299:
		return Delivered, ""
	case status == http.StatusGone:
		return Gone, FailureStatus
	case status == http.StatusRequestEntityTooLarge:
		return TooLarge, FailureStatus
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return Paused, FailureStatus
	case status >= 300 && status <= 399:
		return Failed, FailureRedirect
	default:
		return Failed, FailureStatus
	}
}

// failureOf classifies an attempt that got no answer.
func failureOf(ctx context.Context, err error) Failure {
	var (
		refused *guard.RefusedError
		dns     *net.DNSError
		op      *net.OpError
		cert    *tls.CertificateVerificationError
		alert   tls.AlertError
		record  tls.RecordHeaderError
		timeout net.Error
	)
	switch {
	case errors.As(err, &refused):
		return FailureRefused
	case errors.Is(context.Cause(ctx), errTimeout):
		return FailureTimeout
	case errors.As(err, &dns):
		return FailureDNS
	case errors.As(err, &cert), errors.As(err, &alert), errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return FailureTLS
	case errors.As(err, &timeout) && timeout.Timeout():
		return FailureTimeout
	case errors.As(err, &op) && op.Op == "dial":
		return FailureConnect
	default:
		return FailureBroken
	}
}
