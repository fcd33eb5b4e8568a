package jobs

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/penstock-dev/penstock/jobs/canonical"
)

// notHashed are the fields of a body that do not shape the answer.
var notHashed = []string{"metadata", "user", "safety_identifier", "stream", "stream_options", "store"}

// RequestHash names what r asks for on behalf of tenant: SHA-256, 64 hex
// digits, over canonical JSON (RFC 8785). Two requests with one hash can share
// one answer. A body that has no canonical form is an *[Error] with code
// [CodeInvalidField].
func RequestHash(tenant string, r Request) (string, error) {
	body, err := bodyOf(r.Body)
	if err != nil {
		return "", err
	}
	sum := hashOf(tenant, r, body)
	return hex.EncodeToString(sum[:]), nil
}

// hashOf takes the hash over all that shapes the answer, and whose answer it is:
//
//	{"body":…,"endpoint":…,"route":…,"sample":…,"tenant":…,"v":1}
//
// in canonical form. A sample of zero is left out.
func hashOf(tenant string, r Request, body fields) [32]byte {
	doc := make([]byte, 0, len(r.Body)+len(tenant)+len(r.Route)+128)
	doc = append(doc, `{"body":{`...)
	for _, m := range body {
		if slices.Contains(notHashed, m.Key) {
			continue
		}
		if doc[len(doc)-1] != '{' {
			doc = append(doc, ',')
		}
		doc = append(canonical.AppendString(doc, m.Key), ':')
		doc = append(doc, m.JSON...)
	}
	doc = canonical.AppendString(append(doc, `},"endpoint":`...), r.Endpoint)
	doc = canonical.AppendString(append(doc, `,"route":`...), r.Route)
	if r.Sample != 0 {
		doc = strconv.AppendInt(append(doc, `,"sample":`...), int64(r.Sample), 10)
	}
	doc = canonical.AppendString(append(doc, `,"tenant":`...), tenant)
	return sha256.Sum256(append(doc, `,"v":1}`...))
}

// fields are those of a request body, each in canonical form.
type fields []canonical.Member

// bodyOf splits a request body into its fields.
func bodyOf(raw json.RawMessage) (fields, error) {
	all, err := canonical.Members(raw)
	if err != nil {
		return nil, invalidBody(err)
	}
	return all, nil
}

// get returns a field; nil if it is not there.
func (f fields) get(name string) json.RawMessage {
	for _, m := range f {
		if m.Key == name {
			return m.JSON
		}
	}
	return nil
}

func invalidBody(err error) error {
	if e, ok := errors.AsType[*canonical.Error](err); ok {
		return Invalid("/request"+e.Pointer, "%s", e.Reason)
	}
	return Invalid("/request", "not valid JSON")
}
