package httpapi

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// Bounds of a list.
const (
	defaultLimit = 20
	maxLimit     = 100
)

// Bounds of filters, as for what they are compared with.
const (
	maxFilters     = 16
	maxFilterKey   = 64
	maxFilterValue = 512
)

// jobQuery reads the query of GET /v1/jobs.
func jobQuery(x *exchange) (jobs.JobQuery, error) {
	q, err := parseQuery(x)
	if err != nil {
		return jobs.JobQuery{}, err
	}
	selected := jobs.JobQuery{
		Tenant:        x.tenant,
		Status:        jobs.Status(q.oneOf("status", "queued", "running", "succeeded", "failed", "cancelled", "expired")),
		Priority:      q.priority(),
		Model:         q.text("model"),
		Batch:         q.id("batch_id"),
		CreatedAfter:  q.time("created_after"),
		CreatedBefore: q.time("created_before"),
		Metadata:      q.metadata(),
		Before:        q.cursor(),
		Limit:         q.limit(),
	}
	return selected, q.err()
}

// noQuery refuses all query parameters.
func noQuery(x *exchange) error {
	q, err := parseQuery(x)
	if err != nil {
		return err
	}
	return q.err()
}

// query hands out the parameters of a request and gathers what is wrong with
// them. What nobody asked for is unknown.
type query struct {
	left   map[string]string
	faults []string
}

func parseQuery(x *exchange) (*query, error) {
	values, err := url.ParseQuery(x.Request().URL.RawQuery)
	if err != nil {
		return nil, jobs.Invalid("", "the query is not well formed")
	}
	q := &query{left: make(map[string]string, len(values))}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if len(values[name]) > 1 {
			q.fault(name, "is there twice")
		}
		q.left[name] = values[name][0]
	}
	return q, nil
}

// waitQuery reads a query that may say how long to wait, and nothing else.
func waitQuery(x *exchange) (time.Duration, error) {
	q, err := parseQuery(x)
	if err != nil {
		return 0, err
	}
	wait := q.duration("wait")
	return min(wait, maxWait), q.err()
}

// err says all that is wrong, once every known parameter was taken.
func (q *query) err() error {
	for _, name := range slices.Sorted(maps.Keys(q.left)) {
		q.fault(name, "is not a known query parameter here")
	}
	if len(q.faults) == 0 {
		return nil
	}
	return jobs.Invalid("", "%s", strings.Join(q.faults, "; "))
}

func (q *query) fault(name, format string, args ...any) {
	if len(q.faults) < maxFieldErrors {
		q.faults = append(q.faults, fmt.Sprintf("%q ", shorten(name, maxFilterKey))+fmt.Sprintf(format, args...))
	}
}

// take returns the parameter; ok is false when it is not there.
func (q *query) take(name string) (value string, ok bool) {
	value, ok = q.left[name]
	delete(q.left, name)
	return value, ok
}

func (q *query) text(name string) string {
	value, ok := q.take(name)
	if ok && !filterText(value) {
		q.fault(name, "must be 1 to %d characters", maxFilterValue)
	}
	return value
}

// filterText reports whether s can be compared with what a store holds.
func filterText(s string) bool {
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxFilterValue && !strings.ContainsRune(s, 0)
}

// oneOf takes a parameter that is one of the words; without it, it is empty.
func (q *query) oneOf(name string, words ...string) string {
	value, ok := q.take(name)
	if ok && !slices.Contains(words, value) {
		q.fault(name, "must be %s or %s", strings.Join(words[:len(words)-1], ", "), words[len(words)-1])
	}
	return value
}

func (q *query) priority() *jobs.Priority {
	value, ok := q.take("priority")
	if !ok {
		return nil
	}
	p, ok := jobs.ParsePriority(value)
	if !ok {
		q.fault("priority", "must be high, normal or low")
	}
	return &p
}

func (q *query) time(name string) time.Time {
	value, ok := q.take(name)
	if !ok {
		return time.Time{}
	}
	var t time.Time
	if t.UnmarshalText([]byte(value)) != nil || t.IsZero() {
		q.fault(name, "must be a time as in RFC 3339, such as 2030-01-31T12:00:00Z")
	}
	return t.UTC()
}

// id takes a parameter that is an id, as any of the surfaces writes it.
func (q *query) id(name string) uuid.UUID {
	value, ok := q.take(name)
	if !ok {
		return uuid.Nil
	}
	id, err := surface.ParseID(value)
	if err != nil || id == uuid.Nil {
		q.fault(name, "must be the id of one")
	}
	return id
}

func (q *query) duration(name string) time.Duration {
	value, ok := q.take(name)
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		q.fault(name, "must be a duration such as 30s")
	}
	return d
}

func (q *query) limit() int {
	value, ok := q.take("limit")
	if !ok {
		return defaultLimit
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxLimit {
		q.fault("limit", "must be a whole number between 1 and %d", maxLimit)
	}
	return n
}

// metadata takes the parameters that are written metadata[key]=value.
func (q *query) metadata() map[string]string {
	filters := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(q.left)) {
		open, isFilter := strings.CutPrefix(name, "metadata[")
		key, isClosed := strings.CutSuffix(open, "]")
		if !isFilter || !isClosed {
			continue
		}
		value, _ := q.take(name)
		if !filterText(key) || utf8.RuneCountInString(key) > maxFilterKey || !filterText(value) {
			q.fault(name, "must have a key of 1 to %d characters and a value of 1 to %d", maxFilterKey, maxFilterValue)
		}
		filters[key] = value
	}
	if len(filters) > maxFilters {
		q.fault("metadata", "may be there at most %d times", maxFilters)
	}
	if len(filters) == 0 {
		return nil
	}
	return filters
}

// A cursor is the id after which the list goes on, behind a version: callers
// are not to make their own.
const (
	cursorVersion = 1
	cursorSize    = 1 + len(uuid.UUID{})
)

func encodeCursor(after uuid.UUID) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{cursorVersion}, after[:]...))
}

func (q *query) cursor() uuid.UUID {
	value, ok := q.take("cursor")
	if !ok {
		return uuid.Nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(raw) != cursorSize || raw[0] != cursorVersion {
		q.fault("cursor", "must be the next_cursor of an earlier answer")
		return uuid.Nil
	}
	return uuid.UUID(raw[1:])
}
