package providers

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MaxHint is the longest wait a hint can ask for; a longer one counts as this.
const MaxHint = 24 * time.Hour

// Hint is what the headers of an answer say about trying again.
type Hint struct {
	// After is how long to wait; zero when the answer does not say. It is
	// never negative and at most MaxHint.
	After time.Duration
	// Advice is the server's own opinion.
	Advice Advice
}

// Advice is what a server says about trying a failed call again.
type Advice int

// What x-should-retry can say.
const (
	NoAdvice Advice = iota
	DoRetry
	DoNotRetry
)

// ParseHint reads the hints of an answer that arrived at now. Of several the
// longest counts:
//
//   - retry-after-ms, else Retry-After: seconds, with or without fraction, or
//     an HTTP date (RFC 9110, section 10.2.3), relative to the answer's own
//     Date if it has one, so that clocks need not agree;
//   - when rateLimited, how long until the limits that have nothing remaining
//     are reset: x-ratelimit-reset-{requests,tokens} ("1s", "6m0s", or seconds) and
//     anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-reset
//     (RFC 3339). If there is no hint but these, all of them count, because
//     the server does not say which limit it was.
//
// What is negative, in the past or cannot be read counts as absent.
func ParseHint(header http.Header, rateLimited bool, now time.Time) Hint {
	server := serverTime(header, now)
	after := retryAfter(header, server)
	if rateLimited {
		exhausted, all := resets(header, server)
		after = max(after, exhausted)
		if after == 0 {
			after = all
		}
	}
	return Hint{After: after, Advice: advice(header)}
}

// serverTime is the answer's Date, or now.
func serverTime(header http.Header, now time.Time) time.Time {
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		return date
	}
	return now
}

func retryAfter(header http.Header, server time.Time) time.Duration {
	if d := parseNumber(header.Get("Retry-After-Ms"), time.Millisecond); d > 0 {
		return d
	}
	value := header.Get("Retry-After")
	if d := parseNumber(value, time.Second); d > 0 {
		return d
	}
	if date, err := http.ParseTime(value); err == nil {
		return clampHint(date.Sub(server))
	}
	return 0
}

// limitHeaders are the pairs that tell how much of a limit is left and when
// all of it is back.
var limitHeaders = []struct{ remaining, reset string }{
	{"X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests"},
	{"X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens"},
	{"Anthropic-Ratelimit-Requests-Remaining", "Anthropic-Ratelimit-Requests-Reset"},
	{"Anthropic-Ratelimit-Tokens-Remaining", "Anthropic-Ratelimit-Tokens-Reset"},
	{"Anthropic-Ratelimit-Input-Tokens-Remaining", "Anthropic-Ratelimit-Input-Tokens-Reset"},
	{"Anthropic-Ratelimit-Output-Tokens-Remaining", "Anthropic-Ratelimit-Output-Tokens-Reset"},
}

// resets returns the longest wait until a limit with nothing left is reset,
// and the longest until any is.
func resets(header http.Header, server time.Time) (exhausted, all time.Duration) {
	for _, names := range limitHeaders {
		wait := parseReset(header.Get(names.reset), server)
		all = max(all, wait)
		if strings.TrimSpace(header.Get(names.remaining)) == "0" {
			exhausted = max(exhausted, wait)
		}
	}
	return exhausted, all
}

// epoch is where a number of seconds can only be a Unix time, which some
// gateways send in milliseconds too: that says nothing certain.
const epoch = 1_000_000_000

// parseReset reads a duration, a number of seconds, or an RFC 3339 time.
func parseReset(value string, server time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if n, err := strconv.ParseFloat(value, 64); err == nil && n >= epoch {
		return 0
	}
	if d := parseNumber(value, time.Second); d > 0 {
		return d
	}
	if d, err := time.ParseDuration(value); err == nil {
		return clampHint(d)
	}
	if at, err := time.Parse(time.RFC3339, value); err == nil {
		return clampHint(at.Sub(server))
	}
	return 0
}

// parseNumber reads a decimal number of units: digits, with or without a
// fraction. No sign, no exponent, no infinity.
func parseNumber(value string, unit time.Duration) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" || strings.Trim(value, "0123456789.") != "" {
		return 0
	}
	n, err := strconv.ParseFloat(value, 64)
	if err != nil && n == 0 {
		return 0
	}
	if n >= float64(MaxHint)/float64(unit) {
		return MaxHint
	}
	return time.Duration(n * float64(unit))
}

// ParseDelay reads a duration as protocol buffers write it in JSON: seconds,
// with or without fraction, and "s". That is how google.rpc.RetryInfo says how
// long to wait. What is negative or cannot be read counts as absent, and so is
// zero; what is longer than MaxHint counts as that.
func ParseDelay(value string) time.Duration {
	seconds, ok := strings.CutSuffix(strings.TrimSpace(value), "s")
	if !ok {
		return 0
	}
	return parseNumber(seconds, time.Second)
}

func clampHint(d time.Duration) time.Duration { return min(max(d, 0), MaxHint) }

func advice(header http.Header) Advice {
	switch strings.ToLower(strings.TrimSpace(header.Get("X-Should-Retry"))) {
	case "true":
		return DoRetry
	case "false":
		return DoNotRetry
	default:
		return NoAdvice
	}
}
