package delivery

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/net/http/httpguts"

	"github.com/penstock-dev/penstock/webhooks/guard"
)

// Endpoint is where a tenant wants events sent.
type Endpoint struct {
	ID     uuid.UUID
	Tenant string
	URL    string
	// Description is for people, at most [MaxDescription] bytes.
	Description string
	// Types are the types of events it wants: a type, job.* for all of a kind, or *
	// for all. Empty: all.
	Types []string
	// Metadata is what an event's job must have in its metadata, all of it. Events
	// that are of no job have none.
	Metadata map[string]string
	// Timeout bounds one attempt, 1 s to 60 s; zero: [DefaultTimeout].
	Timeout time.Duration
	// PerMinute is how many attempts may begin in a minute; zero: no limit.
	PerMinute int
	// Concurrency is how many attempts there may be at once over the whole fleet,
	// at most [MaxConcurrency]; zero: [DefaultConcurrency].
	Concurrency int
	// Schedule is when deliveries are attempted; empty: [DefaultSchedule].
	Schedule Schedule
	// Header is sent with each attempt, at most [MaxHeaders] fields.
	Header map[string]string
	// IncludeResult puts results of up to [MaxResult] bytes into the events.
	IncludeResult bool
	// Disabled says why nothing is sent; empty while the endpoint is enabled.
	Disabled Reason
	// PerJob says that it stands for the webhooks that a tenant's jobs name themselves:
	// URL is their origin, each delivery has a URL of its own, and no other event is for
	// it. Its deliveries are signed with the tenant's secret.
	PerJob bool
	// Version counts the changes, from 1.
	Version int64
	// CreatedAt and ChangedAt are when it was made and when its state last changed.
	CreatedAt, ChangedAt time.Time
}

// Reason is why an endpoint is disabled.
type Reason string

// The reasons.
const (
	DisabledByTenant   Reason = "requested"
	DisabledGone       Reason = "gone"       // it answered 410
	DisabledFailing    Reason = "failing"    // for days, with nothing delivered
	DisabledUnreadable Reason = "unreadable" // no secret is left that signs: they were erased
)

// What an endpoint has where it does not say, and what it may ask for.
const (
	DefaultTimeout     = 15 * time.Second
	DefaultConcurrency = 10

	MaxConcurrency = 100
	MaxPerMinute   = 1_000_000
	MaxDescription = 1024
	MaxTypes       = 64
	MaxHeaders     = 16
	MaxHeaderBytes = 4096
	MaxMetadata    = 16
	MaxResult      = 256 << 10
)

// FieldError says what is wrong with a field of an endpoint.
type FieldError struct {
	// Pointer is the RFC 6901 JSON pointer of the field.
	Pointer string
	Reason  string
}

func (e *FieldError) Error() string { return e.Pointer + ": " + e.Reason }

// Check returns a [*FieldError] for each field that is wrong, joined.
func (e Endpoint) Check(g *guard.Guard) error {
	_, address := g.Check(e.URL)
	return errors.Join(at("/url", address), e.checkRest())
}

// checkRest is Check for all but the URL.
func (e Endpoint) checkRest() error {
	found := []error{
		bounded("/timeout", e.Timeout, time.Second, time.Minute),
		bounded("/per_minute", e.PerMinute, 1, MaxPerMinute),
		bounded("/concurrency", e.Concurrency, 1, MaxConcurrency),
		checkTypes(e.Types),
		checkHeader(e.Header),
		checkMetadata(e.Metadata),
	}
	if len(e.Description) > MaxDescription || strings.ContainsRune(e.Description, 0) {
		found = append(found, &FieldError{"/description", fmt.Sprintf("is longer than %d bytes, or has NUL characters", MaxDescription)})
	}
	if len(e.Schedule) > 0 {
		found = append(found, at("/schedule", e.Schedule.Check()))
	}
	return errors.Join(found...)
}

// Wants reports whether an event of this type and metadata is for the endpoint.
func (e Endpoint) Wants(eventType string, metadata map[string]string) bool {
	if e.PerJob {
		return false
	}
	for k, v := range e.Metadata {
		if got, ok := metadata[k]; !ok || got != v {
			return false
		}
	}
	return len(e.Types) == 0 || slices.ContainsFunc(e.Types, func(want string) bool { return covers(want, eventType) })
}

func covers(want, eventType string) bool {
	prefix, all := strings.CutSuffix(want, "*")
	return want == eventType || all && strings.HasPrefix(eventType, prefix)
}

func at(pointer string, err error) error {
	if err == nil {
		return nil
	}
	return &FieldError{Pointer: pointer, Reason: err.Error()}
}

// bounded refuses a value that is neither zero nor within its bounds.
func bounded[T ~int | ~int64](pointer string, v, least, most T) error {
	if v == 0 || v >= least && v <= most {
		return nil
	}
	return &FieldError{Pointer: pointer, Reason: fmt.Sprintf("is %v; want %v to %v", v, least, most)}
}

func checkTypes(types []string) error {
	if len(types) > MaxTypes {
		return &FieldError{"/types", fmt.Sprintf("has %d entries; at most %d", len(types), MaxTypes)}
	}
	var found []error
	for i, t := range types {
		known := slices.ContainsFunc(Types(), func(k string) bool { return covers(t, k) })
		whole := !strings.Contains(strings.TrimSuffix(t, "*"), "*") && (t == "*" || !strings.HasSuffix(t, "*") || strings.HasSuffix(t, ".*"))
		if !known || !whole {
			found = append(found, &FieldError{
				fmt.Sprintf("/types/%d", i), "is no type of event; there are " + strings.Join(Types(), ", ") + ", all of a kind such as job.*, and *",
			})
		}
	}
	return errors.Join(found...)
}

// checkMetadata has the bounds that jobs have for theirs, which it is compared with.
func checkMetadata(metadata map[string]string) error {
	const maxKey, maxValue = 64, 512 // characters
	if len(metadata) > MaxMetadata {
		return &FieldError{"/metadata", fmt.Sprintf("has %d pairs; at most %d", len(metadata), MaxMetadata)}
	}
	var found []error
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		value := metadata[key]
		if key == "" || utf8.RuneCountInString(key) > maxKey || utf8.RuneCountInString(value) > maxValue || strings.ContainsRune(key+value, 0) {
			found = append(found, &FieldError{
				inside("/metadata", key), fmt.Sprintf("has a key of more than %d characters or none, a value of more than %d, or NUL", maxKey, maxValue),
			})
		}
	}
	return errors.Join(found...)
}

// inside returns the pointer of a field in an object.
func inside(pointer, name string) string {
	return pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// ours are the header fields that a message or its transport has itself.
var ours = []string{
	"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Date", "Expect", "Host", "Keep-Alive", "Proxy-Authorization",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent",
}

func checkHeader(header map[string]string) error {
	size := 0
	var found []error
	for _, name := range slices.Sorted(maps.Keys(header)) {
		canonical, value := textproto.CanonicalMIMEHeaderKey(name), header[name]
		size += len(name) + len(value)
		pointer := inside("/headers", name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			found = append(found, &FieldError{pointer, "is not a header's name"})
		case !httpguts.ValidHeaderFieldValue(value):
			found = append(found, &FieldError{pointer, "has a value that cannot be sent"})
		case slices.Contains(ours, canonical), strings.HasPrefix(canonical, "Webhook-"):
			found = append(found, &FieldError{pointer, "is a header that each delivery has already"})
		case canonical != name && hasOther(header, name):
			found = append(found, &FieldError{pointer, "is there twice: the case of letters does not count"})
		}
	}
	if len(header) > MaxHeaders || size > MaxHeaderBytes {
		found = append(found, &FieldError{"/headers", fmt.Sprintf("has %d fields of %d bytes; at most %d of %d",
			len(header), size, MaxHeaders, MaxHeaderBytes)})
	}
	return errors.Join(found...)
}

// hasOther reports whether another field has the same name to HTTP.
func hasOther(header map[string]string, name string) bool {
	for other := range header {
		if other != name && strings.EqualFold(other, name) {
			return true
		}
	}
	return false
}

// Message returns what is sent to the endpoint, but for the keys.
func (e Endpoint) Message(id string, body []byte) Message {
	m := Message{ID: id, URL: e.URL, Body: body, Timeout: e.Timeout, Header: make(http.Header, len(e.Header))}
	for name, value := range e.Header {
		m.Header.Set(name, value)
	}
	if m.Timeout == 0 {
		m.Timeout = DefaultTimeout
	}
	return m
}
