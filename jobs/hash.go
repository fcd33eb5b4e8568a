package jobs

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/penstock-dev/penstock/jobs/canonical"
)

// notHashed are the fields of a body that do not shape the answer.
var notHashed = []string{"metadata", "user", "safety_identifier", "stream", "stream_options", "store"}

// envelope is what a request hash is taken over: all that shapes the answer,
// and whose answer it is.
type envelope struct {
	Version  int                        `json:"v"`
	Tenant   string                     `json:"tenant"`
	Endpoint string                     `json:"endpoint"`
	Route    string                     `json:"route"`
	Sample   int                        `json:"sample,omitempty"`
	Body     map[string]json.RawMessage `json:"body"`
}

// RequestHash names what r asks for on behalf of tenant: SHA-256, 64 hex
// digits, over canonical JSON (RFC 8785). Two requests with one hash can share
// one answer. A body that has no canonical form is an *[Error] with code
// [CodeInvalidField].
func RequestHash(tenant string, r Request) (string, error) {
	body, err := canonicalBody(r.Body)
	if err != nil {
		return "", err
	}
	for _, name := range notHashed {
		delete(body, name)
	}
	doc, err := json.Marshal(envelope{
		Version: 1, Tenant: tenant, Endpoint: r.Endpoint, Route: r.Route, Sample: r.Sample, Body: body,
	})
	if err != nil {
		return "", fmt.Errorf("encode request hash envelope: %w", err)
	}
	doc, err = canonical.JSON(doc)
	if err != nil {
		return "", invalidBody(err)
	}
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:]), nil
}

// canonicalBody splits a request body into its top-level fields, each in
// canonical form.
func canonicalBody(raw json.RawMessage) (map[string]json.RawMessage, error) {
	doc, err := canonical.JSON(raw)
	if err != nil {
		return nil, invalidBody(err)
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(doc, &body); err != nil || body == nil {
		return nil, Invalid("/request", "must be a JSON object: the body of the endpoint")
	}
	return body, nil
}

func invalidBody(err error) error {
	if e, ok := errors.AsType[*canonical.Error](err); ok {
		return Invalid("/request"+e.Pointer, "%s", e.Reason)
	}
	return Invalid("/request", "not valid JSON")
}
