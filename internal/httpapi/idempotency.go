package httpapi

import (
	"net/http"
	"strings"

	"github.com/penstock-dev/penstock/jobs"
)

const (
	headerIdempotencyKey = "Idempotency-Key"
	maxIdempotencyKey    = 255
)

// idempotencyKey returns the key in h, which may be quoted as in
// draft-ietf-httpapi-idempotency-key-header or bare; both name the same
// submission. It is empty when there is none.
func idempotencyKey(h http.Header) (string, error) {
	given := h.Values(headerIdempotencyKey)
	if len(given) == 0 {
		return "", nil
	}
	if len(given) > 1 {
		return "", jobs.Invalid("", "the header %s is there twice", headerIdempotencyKey)
	}
	key, ok := unquote(given[0])
	if !ok || !visible(key) || len(key) > maxIdempotencyKey {
		return "", jobs.Invalid("", "the header %s must be 1 to %d visible ASCII characters, quoted or not",
			headerIdempotencyKey, maxIdempotencyKey)
	}
	return key, nil
}

// noIdempotencyKey refuses a key where a caller would believe that it is heeded.
func noIdempotencyKey(h http.Header) error {
	if h.Get(headerIdempotencyKey) == "" {
		return nil
	}
	return jobs.Invalid("", "the header %s is not supported here; to repeat a submission of a job safely, "+
		"POST it to /v1/jobs with a key", headerIdempotencyKey)
}

// unquote returns what is between the quotes of an RFC 8941 string, or s
// itself when it does not begin with one.
func unquote(s string) (string, bool) {
	inner, ok := strings.CutPrefix(s, `"`)
	if !ok {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		switch c := inner[i]; c {
		case '"':
			return b.String(), i == len(inner)-1
		case '\\':
			if i++; i == len(inner) || inner[i] != '"' && inner[i] != '\\' {
				return "", false
			}
			b.WriteByte(inner[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

// visible reports whether s is made of one or more visible ASCII characters.
func visible(s string) bool {
	for _, c := range []byte(s) {
		if c < '!' || c > '~' {
			return false
		}
	}
	return s != ""
}
