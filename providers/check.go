package providers

import "encoding/json"

// Check says whether a wire format can carry a request: it returns nil, or an
// *[UnsupportedError] that names what it cannot. It makes no call. Bodies are
// JSON objects; what is wrong with one for every provider is left to the
// provider to say.
type Check func(endpoint string, body json.RawMessage) error

// UnsupportedError is something a request asks for that a wire format cannot
// say. Another target may.
type UnsupportedError struct {
	// Pointer is the RFC 6901 JSON pointer of the field within the body. It is
	// empty when it is the endpoint that the format does not have.
	Pointer string
	// Reason ends the sentence that the pointer begins. It quotes no value.
	Reason string
}

// Error says the pointer and the reason. The pointer may hold names that the
// caller made up: it is for the tenant's eyes.
func (e *UnsupportedError) Error() string {
	if e.Pointer == "" {
		return e.Reason
	}
	return e.Pointer + ": " + e.Reason
}

// Refuse makes of e the error of a call that was not made.
func (e *UnsupportedError) Refuse() *Error {
	return &Error{
		Class: BadRequest, Message: "the request asks for what this provider's format cannot say",
		Detail: e.Error(), Unsupported: e,
	}
}
