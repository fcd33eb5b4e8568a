package sealed

import (
	"crypto/cipher"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

// A sealed payload is an envelope:
//
//	version 1 byte | data key's id 16 | nonce 12 | ciphertext | tag 16
//
// Payloads are JSON, which begins with no byte of value 1: what is in plain and
// what is sealed are told apart with certainty; of chunks of files, which may be
// anything, by whether the key is there. Text is the same in base64, after
// textPrefix.
const (
	version    = 1
	headerSize = 1 + 16
	// overhead is how much longer than its payload an envelope is.
	overhead   = headerSize + 12 + 16
	textPrefix = "sealed:1:"
)

// purpose is which payload an envelope holds.
type purpose byte

const (
	requestBody purpose = 'q'
	resultBody  purpose = 'r'
	message     purpose = 'm'
	partial     purpose = 'p'

	// Those of webhooks: execution is the delivery, or the secret's id.
	deliveryBody   purpose = 'd'
	deliveryAnswer purpose = 'a'
	webhookSecret  purpose = 'w'

	// Of a chunk of a file, execution is the file.
	fileChunk purpose = 'f'
)

// place is where a payload belongs. It is sealed with it, so that an envelope
// opens nowhere else. All jobs of an execution share its payloads, and so do
// those that were given a copy of its answer.
type place struct {
	tenant    string
	purpose   purpose
	execution uuid.UUID
	// call is set for a partial answer; for an answer to a delivery it is which
	// attempt's, for a webhook's secret its owner, for a chunk which one.
	call uuid.UUID
}

// resultOf is where what a job ended with belongs: the execution that was run
// for it, or another whose answer it was given.
func resultOf(j jobs.Job, p purpose) place {
	at := place{tenant: j.Tenant, purpose: p, execution: j.ExecutionID}
	if j.AnswerOf != uuid.Nil {
		at.execution = j.AnswerOf
	}
	return at
}

// answeredBy is where what a line of a batch was answered belongs: see [resultOf].
func answeredBy(tenant string, a batches.Answer, p purpose) place {
	return place{tenant: tenant, purpose: p, execution: a.Execution}
}

// requestOf is where a request belongs.
func requestOf(tenant string, execution uuid.UUID) place {
	return place{tenant: tenant, purpose: requestBody, execution: execution}
}

// outcomeOf is where what an execution ends with belongs.
func outcomeOf(o jobs.Outcome, p purpose) place {
	return place{tenant: o.Call.Tenant, purpose: p, execution: o.Task.Execution}
}

// partialOf is where what arrived of an answer belongs.
func partialOf(c jobs.Call) place {
	return place{tenant: c.Tenant, purpose: partial, execution: c.Execution, call: c.ID}
}

// context returns what is authenticated beside the payload. The tenant comes
// last, for all before it is of fixed length.
func (p place) context(header []byte) []byte {
	b := make([]byte, 0, headerSize+1+16+16+len(p.tenant))
	b = append(append(b, header...), byte(p.purpose))
	b = append(append(b, p.execution[:]...), p.call[:]...)
	return append(b, p.tenant...)
}

// dataKey is a data key, unwrapped.
type dataKey struct {
	id   uuid.UUID
	aead cipher.AEAD
}

func (k dataKey) seal(p place, payload []byte) []byte {
	envelope := make([]byte, headerSize, len(payload)+overhead)
	envelope[0] = version
	copy(envelope[1:], k.id[:])
	return k.aead.Seal(envelope, nil, payload, p.context(envelope)) //nolint:gosec // no nonce: it draws one itself
}

var errChanged = &lostError{"a sealed payload does not open with its key: it was changed or moved"}

func (k dataKey) open(p place, envelope []byte) ([]byte, error) {
	payload, err := k.aead.Open(nil, nil, envelope[headerSize:], p.context(envelope[:headerSize]))
	if err != nil {
		return nil, errChanged
	}
	return payload, nil
}

// keyOf returns the id of the key that b is sealed with; false: b is in plain.
func keyOf(b []byte) (uuid.UUID, bool) {
	if len(b) < overhead || b[0] != version {
		return uuid.Nil, false
	}
	return uuid.UUID(b[1:headerSize]), true
}

// encoding has one text for one envelope.
var encoding = base64.RawStdEncoding.Strict()

func toText(envelope []byte) string { return textPrefix + encoding.EncodeToString(envelope) }

// fromText returns the envelope that text is; false: it is in plain.
func fromText(text string) ([]byte, bool) {
	encoded, ok := strings.CutPrefix(text, textPrefix)
	if !ok || strings.ContainsAny(encoded, "\r\n") { // which decoding would skip
		return nil, false
	}
	envelope, err := encoding.DecodeString(encoded)
	_, sealed := keyOf(envelope)
	return slices.Clip(envelope), err == nil && sealed
}
