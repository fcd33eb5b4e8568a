package jobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs/canonical"
)

// Redactor takes out of a submission what must not be kept. Package jobs/redact
// has two.
type Redactor interface {
	// Redact returns what is kept, hashed and sent to providers in place of s. It
	// must not change what s holds. When it fails nothing is kept and the caller is
	// told to come back; its error is logged, and holds nothing of s.
	//
	// Equal submissions should come back equal: else they are not known to be
	// equal, and one repeated under its Idempotency-Key is taken for another.
	Redact(ctx context.Context, s Sent) (Sent, error)
}

// Sent is what a caller says in its own words.
type Sent struct {
	// Tenant and Endpoint are for the redactor to know: they stay as they are.
	Tenant   string
	Endpoint string
	// Request is a JSON object without duplicate keys. Its model must stay.
	Request  json.RawMessage
	Metadata map[string]string
	User     string
}

// ServiceOption changes what a [Service] does.
type ServiceOption func(s *Service)

// WithRedactor puts a redactor before all that is kept: the hash, the
// fingerprint of the submission and the job itself.
func WithRedactor(r Redactor) ServiceOption { return func(s *Service) { s.redactor = r } }

// redacted returns n as it may be kept, or an *[Error] with code
// [CodeRedactionUnavailable]. What is no JSON object is refused unseen.
func (s *Service) redacted(ctx context.Context, n NewJob) (NewJob, error) {
	if s.redactor == nil {
		return n, nil
	}
	before, err := bodyOf(n.Request)
	if err != nil {
		return NewJob{}, err
	}
	sent, err := s.redactor.Redact(ctx, Sent{
		Tenant: n.Tenant, Endpoint: n.Endpoint, Request: n.Request, Metadata: n.Metadata, User: n.User,
	})
	if err != nil {
		return NewJob{}, redactionFailed(err)
	}
	after, err := bodyOf(sent.Request)
	if err != nil {
		return NewJob{}, redactionFailed(fmt.Errorf("the redacted request: %w", err))
	}
	if !bytes.Equal(before.get("model"), after.get("model")) {
		return NewJob{}, redactionFailed(errors.New("the redacted request names another model"))
	}
	n.Request, n.Metadata, n.User = sent.Request, sent.Metadata, sent.User
	if n.Batch == uuid.Nil { // else it is made of no more than the line's place
		n.Fingerprint, err = fingerprintOf(n)
	}
	return n, err
}

func redactionFailed(err error) *Error {
	return &Error{
		Code: CodeRedactionUnavailable, Err: err,
		Message: "the submission could not be redacted, so nothing of it was kept: repeat it",
	}
}

// fingerprintOf returns the SHA-256 of a submission as it is kept: that of what
// was sent could be used to try out guesses at what was redacted. A field of its
// zero value is left out, so that one that is added changes no fingerprint.
func fingerprintOf(n NewJob) ([32]byte, error) {
	body, err := canonical.JSON(n.Request)
	if err != nil {
		return [32]byte{}, invalidBody(err)
	}
	n.Request, n.Fingerprint, n.IdempotencyKey = body, [32]byte{}, ""
	said := map[string]any{}
	for field, value := range reflect.ValueOf(n).Fields() {
		if !value.IsZero() {
			said[field.Name] = value.Interface()
		}
	}
	doc, err := json.Marshal(said)
	if err != nil {
		return [32]byte{}, fmt.Errorf("encode a submission: %w", err)
	}
	return sha256.Sum256(doc), nil
}
