package httpapi

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/canonical"
)

// decodeJob reads the body of POST /v1/jobs. It refuses what is not one JSON
// object that has a canonical form, unknown fields, and fields of a wrong type,
// all of those at once; what values mean is for [jobs.Service] to judge. A
// field that is null is as if it were left out.
func decodeJob(body []byte) (jobs.NewJob, error) {
	doc, err := canonical.JSON(body)
	if err != nil {
		return jobs.NewJob{}, notJSON(err)
	}
	n := jobs.NewJob{Fingerprint: sha256.Sum256(doc)}
	d := &decoder{job: &n}
	d.object("", body, jobFields)
	if n.Request == nil && !d.failed("/request") {
		d.fail("/request", "is required: the body of the endpoint, a JSON object")
	}
	if len(d.errs) > 0 {
		return jobs.NewJob{}, d.errs
	}
	return n, nil
}

func notJSON(err error) error {
	if e, ok := errors.AsType[*canonical.Error](err); ok && e.Pointer != "" {
		return jobs.Invalid(e.Pointer, "%s", e.Reason)
	} else if ok {
		return jobs.Invalid("", "the body: %s", e.Reason)
	}
	return jobs.Invalid("", "the body is not valid JSON")
}

// decoder gathers what is wrong with the fields of one body.
type decoder struct {
	job *jobs.NewJob
	// nulls hands fields that are null over, too.
	nulls bool
	errs  fieldErrors
}

// field reads one field.
type field func(d *decoder, pointer string, raw json.RawMessage)

// jobFields and cacheFields are all the fields there are. Names are compared
// exactly, which encoding/json would not do for a struct.
var (
	jobFields = map[string]field{
		"request":        (*decoder).request,
		"endpoint":       (*decoder).endpoint,
		"priority":       (*decoder).priority,
		"deadline":       (*decoder).deadline,
		"timeout":        (*decoder).timeout,
		"dedupe":         (*decoder).dedupe,
		"cache":          (*decoder).cache,
		"sample":         (*decoder).sample,
		"store":          (*decoder).store,
		"metadata":       (*decoder).metadata,
		"user":           (*decoder).user,
		"use_case":       (*decoder).useCase,
		"on_unavailable": (*decoder).onUnavailable,
		"webhook":        (*decoder).webhook,
	}
	cacheFields = map[string]field{
		"max_age":                (*decoder).maxAge,
		"no_store":               (*decoder).noStore,
		"stale_while_revalidate": (*decoder).staleWhileRevalidate,
		"stale_if_error":         (*decoder).staleIfError,
	}
)

// object reads the fields of raw, in the order of their names.
func (d *decoder) object(pointer string, raw json.RawMessage, known map[string]field) {
	var values map[string]json.RawMessage
	if json.Unmarshal(raw, &values) != nil || values == nil {
		d.fail(pointer, "must be a JSON object")
		return
	}
	d.members(pointer, values, known)
}

// members reads the fields of an object, in the order of their names.
func (d *decoder) members(pointer string, values map[string]json.RawMessage, known map[string]field) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		at := pointer + canonical.Pointer(name)
		read, ok := known[name]
		switch {
		case !ok:
			d.fail(at, "is not a known field")
		case d.nulls || !isNull(values[name]):
			read(d, at, values[name])
		}
	}
}

func (d *decoder) request(pointer string, raw json.RawMessage) {
	if raw[0] != '{' {
		d.fail(pointer, "must be a JSON object: the body of the endpoint")
		return
	}
	d.job.Request = raw
}

func (d *decoder) endpoint(pointer string, raw json.RawMessage) {
	if decode(d, pointer, raw, &d.job.Endpoint, "a string") && d.job.Endpoint == "" {
		d.fail(pointer, "must not be empty; leave it out for chat completions")
	}
}

func (d *decoder) priority(pointer string, raw json.RawMessage) {
	var word string
	_ = json.Unmarshal(raw, &word)
	p, ok := jobs.ParsePriority(word)
	if !ok {
		d.fail(pointer, "must be high, normal or low")
	}
	d.job.Priority = p
}

func (d *decoder) useCase(pointer string, raw json.RawMessage) {
	if decode(d, pointer, raw, &d.job.UseCase, "a string") && d.job.UseCase == "" {
		d.fail(pointer, "must not be empty; leave it out for what the route says")
	}
}

func (d *decoder) onUnavailable(pointer string, raw json.RawMessage) {
	var word string
	_ = json.Unmarshal(raw, &word)
	o, ok := jobs.ParseOnUnavailable(word)
	if !ok {
		d.fail(pointer, "must be wait, fail or degrade")
	}
	d.job.OnUnavailable = &o
}

func (d *decoder) deadline(pointer string, raw json.RawMessage) {
	if decode(d, pointer, raw, &d.job.Deadline, `a time as in RFC 3339, such as "2030-01-31T12:00:00Z"`) &&
		d.job.Deadline.IsZero() {
		d.fail(pointer, "has passed")
	}
}

func (d *decoder) timeout(pointer string, raw json.RawMessage) {
	if d.duration(pointer, raw, &d.job.Timeout) && d.job.Timeout == 0 {
		d.fail(pointer, "must be more than zero")
	}
}

func (d *decoder) dedupe(pointer string, raw json.RawMessage) {
	var dedupe bool
	decode(d, pointer, raw, &dedupe, "true or false")
	d.job.NoDedupe = !dedupe
}

func (d *decoder) cache(pointer string, raw json.RawMessage) { d.object(pointer, raw, cacheFields) }

func (d *decoder) maxAge(pointer string, raw json.RawMessage) {
	d.duration(pointer, raw, &d.job.MaxAge)
}

func (d *decoder) staleWhileRevalidate(pointer string, raw json.RawMessage) {
	d.duration(pointer, raw, &d.job.StaleWhileRevalidate)
}

func (d *decoder) staleIfError(pointer string, raw json.RawMessage) {
	d.duration(pointer, raw, &d.job.StaleIfError)
}

func (d *decoder) noStore(pointer string, raw json.RawMessage) {
	decode(d, pointer, raw, &d.job.NoStore, "true or false")
}

func (d *decoder) store(pointer string, raw json.RawMessage) {
	var store bool
	decode(d, pointer, raw, &store, "true or false")
	d.job.Ephemeral = !store
}

func (d *decoder) sample(pointer string, raw json.RawMessage) {
	var n float64
	if !decode(d, pointer, raw, &n, "a whole number") {
		return
	}
	if n != math.Trunc(n) || math.Abs(n) > math.MaxInt32 {
		d.fail(pointer, "must be a whole number between 0 and %d", jobs.MaxSample)
		return
	}
	d.job.Sample = int(n)
}

func (d *decoder) metadata(pointer string, raw json.RawMessage) {
	d.job.Metadata = d.texts(pointer, raw)
}

func (d *decoder) texts(pointer string, raw json.RawMessage) map[string]string {
	var values map[string]json.RawMessage
	if !decode(d, pointer, raw, &values, "an object of strings") {
		return nil
	}
	texts := make(map[string]string, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		var value string
		decode(d, pointer+canonical.Pointer(name), values[name], &value, "a string")
		texts[name] = value
	}
	return texts
}

func (d *decoder) user(pointer string, raw json.RawMessage) {
	decode(d, pointer, raw, &d.job.User, "a string")
}

func (d *decoder) webhook(pointer string, raw json.RawMessage) {
	d.object(pointer, raw, map[string]field{"url": (*decoder).webhookURL})
	if d.job.Webhook == "" && !d.failed(pointer) && !d.failed(pointer+"/url") {
		d.fail(pointer+"/url", "is required")
	}
}

func (d *decoder) webhookURL(pointer string, raw json.RawMessage) {
	decode(d, pointer, raw, &d.job.Webhook, "a string")
}

// duration reads a Go duration string into to.
func (d *decoder) duration(pointer string, raw json.RawMessage, to *time.Duration) bool {
	const want = `must be a duration in a string, such as "90s", "15m" or "1h30m"`
	var text string
	if json.Unmarshal(raw, &text) != nil {
		d.fail(pointer, want)
		return false
	}
	value, err := time.ParseDuration(text)
	if err != nil {
		d.fail(pointer, want)
		return false
	}
	*to = value
	return true
}

// decode reads raw into to, and reports whether it is what is wanted. Null is
// nothing that is wanted.
func decode(d *decoder, pointer string, raw json.RawMessage, to any, want string) bool {
	if isNull(raw) || json.Unmarshal(raw, to) != nil {
		d.fail(pointer, "must be %s", want)
		return false
	}
	return true
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

func (d *decoder) fail(pointer, format string, args ...any) {
	d.errs = append(d.errs, fieldError{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
}

func (d *decoder) failed(pointer string) bool {
	return slices.ContainsFunc(d.errs, func(e fieldError) bool { return e.Pointer == pointer || e.Pointer == "" })
}
