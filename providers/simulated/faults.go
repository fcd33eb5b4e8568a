package simulated

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Faults is all that can be slow or wrong with a server. The zero value is
// nothing: every answer comes whole and at once.
type Faults struct {
	// Latency is the median time to the first token, Sigma the spread of its
	// logarithm: lognormal, as real ones roughly are. PerToken is the time of
	// each further token.
	Latency  Duration `json:"latency"`
	Sigma    float64  `json:"sigma"`
	PerToken Duration `json:"per_token"`
	// OutputTokens bounds the length drawn for an answer; a request's
	// max_tokens cuts it. Zero: 20 to 200.
	OutputTokens Range `json:"output_tokens"`

	// Errors gives the kinds of fault their probabilities, which add up to at
	// most 1. Kinds lists what can be named.
	Errors map[string]float64 `json:"errors"`
	// RetryAfter is the Retry-After header of rate_limited, overloaded and
	// server_error, word for word, so that it can be absurd. Empty: none.
	RetryAfter string `json:"retry_after"`
	// StallFor is how long kind stall stops in the middle of an answer before
	// it goes on, and SlowFor how long slow_headers holds the headers back.
	// Zero: until the caller gives up.
	StallFor Duration `json:"stall_for"`
	SlowFor  Duration `json:"slow_for"`

	// RPM limits calls per minute and Concurrent calls at once; beyond, the
	// answer is 429 with hints. Zero: no limit.
	RPM        int `json:"rpm"`
	Concurrent int `json:"concurrent"`

	// Outages are when the server is away.
	Outages []Outage `json:"outages"`
}

// Kinds of fault beside the error classes that are an HTTP status.
const (
	KindConnection    = "connection"      // the connection is cut instead of an answer
	KindTruncated     = "truncated"       // the answer is cut in the middle
	KindNoDone        = "no_done"         // the stream ends without its terminal event
	KindStall         = "stall"           // the answer stops in the middle
	KindSlowHeaders   = "slow_headers"    // the headers are held back
	KindMalformed     = "malformed"       // the answer is not JSON
	KindEmpty         = "empty"           // 200 and nothing else
	KindErrorIn200    = "error_in_200"    // 200 and an error object
	KindErrorInStream = "error_in_stream" // an error object in the middle of the answer
	KindFiltered      = "filtered"        // finish reason content_filter
)

// Kinds returns the names that Faults.Errors may use, sorted.
func Kinds() []string {
	kinds := slices.Collect(maps.Keys(openAI.refusals))
	kinds = append(kinds, KindConnection, KindTruncated, KindNoDone, KindStall, KindSlowHeaders, KindMalformed,
		KindEmpty, KindErrorIn200, KindErrorInStream, KindFiltered)
	slices.Sort(kinds)
	return kinds
}

// Range is a least and a greatest number.
type Range struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// DefaultFaults is a good server: a median of 250 ms to the first token and
// 5 ms for each further one, no errors.
func DefaultFaults() Faults {
	return Faults{
		Latency:      Duration(250 * time.Millisecond),
		Sigma:        0.5,
		PerToken:     Duration(5 * time.Millisecond),
		OutputTokens: defaultOutput,
	}
}

var defaultOutput = Range{Min: 20, Max: 200}

// ParseFaults reads faults as JSON. What is left out has its value of
// [DefaultFaults]; unknown fields are refused. The result is valid.
func ParseFaults(in io.Reader) (Faults, error) {
	faults := DefaultFaults()
	decoder := json.NewDecoder(in)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&faults); err != nil {
		return Faults{}, fmt.Errorf("faults are not as expected: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Faults{}, errors.New("faults are not as expected: something follows the JSON object")
	}
	return faults, faults.Validate()
}

// Validate names the first field that makes no sense.
func (f Faults) Validate() error {
	switch {
	case f.Latency < 0 || f.PerToken < 0 || f.StallFor < 0 || f.SlowFor < 0:
		return errors.New("latency, per_token, stall_for and slow_for must not be negative")
	case !(f.Sigma >= 0 && f.Sigma <= 5):
		return fmt.Errorf("sigma must be from 0 to 5, not %v", f.Sigma)
	case f.OutputTokens.Min < 0 || f.OutputTokens.Max < f.OutputTokens.Min || f.OutputTokens.Max > maxOutput:
		return fmt.Errorf("output_tokens must have 0 <= min <= max <= %d", maxOutput)
	case f.RPM < 0 || f.Concurrent < 0:
		return errors.New("rpm and concurrent must not be negative")
	case strings.ContainsAny(f.RetryAfter, "\r\n\x00"):
		return errors.New("retry_after must be one line")
	}
	if err := f.validateErrors(); err != nil {
		return err
	}
	for i, o := range f.Outages {
		if err := o.validate(); err != nil {
			return fmt.Errorf("outages[%d]: %w", i, err)
		}
	}
	return nil
}

// clone shares nothing with f.
func (f Faults) clone() Faults {
	f.Errors, f.Outages = maps.Clone(f.Errors), slices.Clone(f.Outages)
	return f
}

func (f Faults) validateErrors() error {
	kinds := Kinds()
	sum := 0.0
	for _, kind := range slices.Sorted(maps.Keys(f.Errors)) {
		probability := f.Errors[kind]
		if !slices.Contains(kinds, kind) {
			return fmt.Errorf("errors: %q is not a kind; there are %s", kind, strings.Join(kinds, ", "))
		}
		if !(probability >= 0 && probability <= 1) {
			return fmt.Errorf("errors.%s must be a probability from 0 to 1, not %v", kind, probability)
		}
		sum += probability
	}
	if sum > 1+1e-9 {
		return fmt.Errorf("errors add up to %v, more than 1", sum)
	}
	return nil
}

// Duration is a time.Duration that JSON writes as "250ms". A plain 0 is read
// as well; any other number lacks its unit and is refused.
type Duration time.Duration

// MarshalText writes d as time.Duration prints it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalJSON reads "250ms", or 0.
func (d *Duration) UnmarshalJSON(raw []byte) error {
	if bytes.Equal(raw, []byte("0")) {
		*d = 0
		return nil
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return fmt.Errorf(`a duration is a string such as "250ms", or 0, not %s`, raw)
	}
	parsed, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf(`a duration is a string such as "250ms", not %q`, s)
	}
	*d = Duration(parsed)
	return nil
}
