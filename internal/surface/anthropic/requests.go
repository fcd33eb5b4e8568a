package anthropic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// maxCustomID is how many characters a custom id may have.
const maxCustomID = 64

// requests reads the body of a new batch as it arrives, a request at a time. All that is
// wrong with it is an *[jobs.Error].
type requests struct {
	from *rationed
	dec  *json.Decoder
	// seen are the custom ids so far.
	seen map[string]struct{}
}

// ration is how much may be read for one request, from where it begins: the decoder holds
// it as a whole. White space around it comes on top of the request.
const ration = batches.MaxLine + 1<<16

func newRequests(body io.Reader) *requests {
	from := &rationed{from: surface.Tight(body)}
	return &requests{from: from, dec: json.NewDecoder(from), seen: map[string]struct{}{}}
}

// readAll calls keep with each request, and returns nil once the body has ended.
func (q *requests) readAll(keep func(customID string, params json.RawMessage) error) error {
	if err := q.delim('{', ""); err != nil {
		return err
	}
	found := false
	for q.more() {
		name, err := q.token()
		if err != nil {
			return err
		}
		if name != "requests" || found {
			return jobs.Invalid(fmt.Sprintf("/%v", name), "is not known here, or is there twice: a batch has the field requests")
		}
		found = true
		if err := q.list(keep); err != nil {
			return err
		}
	}
	if err := q.delim('}', ""); err != nil {
		return err
	}
	if len(q.seen) == 0 {
		return jobs.Invalid("/requests", "must be an array with at least one request")
	}
	if _, err := q.token(); !errors.Is(err, io.EOF) {
		return orNotJSON(err)
	}
	return nil
}

func (q *requests) list(keep func(string, json.RawMessage) error) error {
	if err := q.delim('[', "/requests"); err != nil {
		return err
	}
	for q.more() {
		customID, params, err := q.next()
		if err == nil {
			err = keep(customID, params)
		}
		if err != nil {
			return err
		}
	}
	return q.delim(']', "/requests")
}

// next reads a request. What Messages thinks of its params is found out later.
func (q *requests) next() (customID string, params json.RawMessage, err error) {
	at := fmt.Sprintf("/requests/%d", len(q.seen))
	var raw json.RawMessage
	if err := q.dec.Decode(&raw); err != nil {
		return "", nil, orNotJSON(err)
	}
	if len(raw) > batches.MaxLine {
		return "", nil, jobs.Invalid(at, "must be at most %d bytes", batches.MaxLine)
	}
	id, params, err := members(at, raw)
	if err != nil {
		return "", nil, err
	}
	if customID, err = q.customID(at, id); err != nil {
		return "", nil, err
	}
	if !isObject(params) {
		return "", nil, jobs.Invalid(at+"/params", "must be an object: the body of a request to /v1/messages")
	}
	return customID, params, nil
}

// members takes a request apart, which is JSON. It goes no further than the first field
// that is not known: of many that take a few bytes each would be made many times as much.
func members(at string, raw json.RawMessage) (id, params json.RawMessage, err error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return nil, nil, jobs.Invalid(at, "must be an object with the fields custom_id and params")
	}
	for dec.More() {
		name, err := dec.Token()
		switch {
		case err != nil:
		case name == "custom_id":
			err = dec.Decode(&id)
		case name == "params":
			err = dec.Decode(&params)
		default:
			err = jobs.Invalid(fmt.Sprintf("%s/%v", at, name), "is not known here: a request has custom_id and params")
		}
		if err != nil {
			return nil, nil, orNotJSON(err)
		}
	}
	return id, params, nil
}

func (q *requests) customID(at string, raw json.RawMessage) (id string, err error) {
	at += "/custom_id"
	if json.Unmarshal(raw, &id) != nil || !validCustomID(id) {
		return "", jobs.Invalid(at, "must be 1 to %d letters, digits, dashes or underscores", maxCustomID)
	}
	if _, twice := q.seen[id]; twice {
		return "", jobs.Invalid(at, "is that of another request in this batch, too")
	}
	q.seen[id] = struct{}{}
	return id, nil
}

func validCustomID(id string) bool {
	if id == "" || len(id) > maxCustomID {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// more reports whether there is more of what is open. What follows has a ration of its own.
func (q *requests) more() bool {
	q.let()
	return q.dec.More()
}

// let gives what follows its ration.
func (q *requests) let() { q.from.until = q.dec.InputOffset() + ration }

func (q *requests) token() (json.Token, error) {
	q.let()
	t, err := q.dec.Token()
	if err == nil || errors.Is(err, io.EOF) {
		return t, err
	}
	return nil, orNotJSON(err)
}

// delim reads a bracket.
func (q *requests) delim(want json.Delim, pointer string) error {
	got, err := q.token()
	if errors.Is(err, io.EOF) {
		err = errNotJSON
	}
	if err == nil && got != want {
		return jobs.Invalid(pointer, "must be %s", map[json.Delim]string{
			'{': "an object", '[': "an array", '}': "an object", ']': "an array",
		}[want])
	}
	return err
}

var errNotJSON = jobs.Invalid("", "the body must be one JSON object, and whole")

// orNotJSON is err if that says more than that the body is not JSON; nil stands for more
// behind its end.
func orNotJSON(err error) error {
	if _, ok := errors.AsType[*jobs.Error](err); ok {
		return err
	}
	return errNotJSON
}

// rationed reads until it has read so much.
type rationed struct {
	from        io.Reader
	read, until int64
}

func (r *rationed) Read(p []byte) (int, error) {
	left := r.until - r.read
	if left <= 0 {
		return 0, jobs.Invalid("/requests", "each must be at most %d bytes", batches.MaxLine)
	}
	n, err := r.from.Read(p[:min(int64(len(p)), left)])
	r.read += int64(n)
	return n, err
}
