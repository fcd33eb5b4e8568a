package webhooks

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of a signed message.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// Tolerance is how far a message's timestamp may be from the receiver's clock,
// in both directions. A message is stamped and signed anew at each attempt.
const Tolerance = 5 * time.Minute

// Bounds on what strangers send and on what the signed text may look like.
const (
	maxIDLength        = 255
	maxTimestampDigits = 12
	maxSignatures      = 16
)

// What [Verify] may find wrong. Callers tell them apart with [errors.Is].
var (
	// ErrMalformed: a header is missing, doubled or not in its form.
	ErrMalformed = errors.New("webhook headers are malformed")
	// ErrTimestamp: the message is older or newer than [Tolerance] allows.
	ErrTimestamp = errors.New("webhook timestamp is too far from now")
	// ErrSignature: no signature fits any of the keys.
	ErrSignature = errors.New("webhook signature does not match")
)

// Sign returns the three headers of a message: its id, the time at in whole
// seconds and a signature by each of keys, so that a receiver keeps working
// while keys are rotated. The id is the same at each attempt and each body has
// its own; it is 1 to 255 visible ASCII characters without a dot, because dots
// separate the parts of the signed text.
//
// It is an error to sign without keys or with a public one.
func Sign(id string, at time.Time, body []byte, keys ...Key) (http.Header, error) {
	if !validID(id) {
		return nil, fmt.Errorf("sign webhook: id %q is not 1 to %d visible ASCII characters without a dot", id, maxIDLength)
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	if _, err := parseTimestamp(timestamp); err != nil {
		return nil, fmt.Errorf("sign webhook: time %s is out of range", at)
	}
	if len(keys) == 0 {
		return nil, errors.New("sign webhook: no key")
	}
	message := signedText(id, timestamp, body)
	signatures := make([]string, 0, len(keys))
	for _, key := range keys {
		signature, err := key.sign(message)
		if err != nil {
			return nil, fmt.Errorf("sign webhook: %w", err)
		}
		signatures = append(signatures, signature)
	}
	return http.Header{
		HeaderID:        {id},
		HeaderTimestamp: {timestamp},
		HeaderSignature: {strings.Join(signatures, " ")},
	}, nil
}

// Verify returns nil if one of the signatures in header was made over body by
// one of keys, and the message is stamped within [Tolerance] of now. Otherwise
// the error wraps [ErrMalformed], [ErrTimestamp] or [ErrSignature]. Signatures
// of unknown versions are passed over; comparisons take constant time.
//
// body is what arrived, byte for byte: parsing and printing it again breaks the
// signature. A receiver that must act once also remembers the id for twice the
// tolerance.
func Verify(header http.Header, body []byte, now time.Time, keys ...Key) error {
	id, timestamp, signature, err := signedHeaders(header)
	if err != nil {
		return err
	}
	stamped, err := parseTimestamp(timestamp)
	if err != nil {
		return err
	}
	if now.Sub(stamped).Abs() > Tolerance {
		return ErrTimestamp
	}
	candidates := strings.Fields(signature)
	if len(candidates) > maxSignatures {
		return fmt.Errorf("%w: more than %d signatures", ErrMalformed, maxSignatures)
	}
	message := signedText(id, timestamp, body)
	for _, candidate := range candidates {
		for _, key := range keys {
			if key.verify(message, candidate) {
				return nil
			}
		}
	}
	return ErrSignature
}

// signedHeaders reads each header, which must be there exactly once.
func signedHeaders(header http.Header) (id, timestamp, signature string, err error) {
	var values [3]string
	for i, name := range []string{HeaderID, HeaderTimestamp, HeaderSignature} {
		all := header.Values(name)
		if len(all) != 1 {
			return "", "", "", fmt.Errorf("%w: %s is there %d times", ErrMalformed, name, len(all))
		}
		values[i] = all[0]
	}
	if !validID(values[0]) {
		return "", "", "", fmt.Errorf("%w: %s is not visible ASCII without a dot", ErrMalformed, HeaderID)
	}
	return values[0], values[1], values[2], nil
}

// signedText is what a signature is made over.
func signedText(id, timestamp string, body []byte) []byte {
	text := make([]byte, 0, len(id)+len(timestamp)+len(body)+2)
	text = append(text, id...)
	text = append(text, '.')
	text = append(text, timestamp...)
	text = append(text, '.')
	return append(text, body...)
}

func validID(id string) bool {
	outside := func(r rune) bool { return r <= ' ' || r > '~' || r == '.' }
	return id != "" && len(id) <= maxIDLength && !strings.ContainsFunc(id, outside)
}

// parseTimestamp reads whole seconds since 1970 in the one form that
// [strconv.FormatInt] prints.
func parseTimestamp(text string) (time.Time, error) {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 || len(text) > maxTimestampDigits || strconv.FormatInt(seconds, 10) != text {
		return time.Time{}, fmt.Errorf("%w: %s is not seconds since 1970", ErrMalformed, HeaderTimestamp)
	}
	return time.Unix(seconds, 0), nil
}
