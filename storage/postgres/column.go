package postgres

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// column collects one value of each row: an argument for unnest. Statements
// over many rows take one array per column, so that their text, and with it
// their plan, does not depend on how many rows there are.
func column[R, V any](rows []R, value func(r R) V) []V {
	values := make([]V, len(rows))
	for i, r := range rows {
		values[i] = value(r)
	}
	return values
}

// orNull returns nil for the zero value.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// orZero returns the zero value for nil.
func orZero[T any](v *T) T {
	if v == nil {
		var zero T
		return zero
	}
	return *v
}

// when returns nil for the zero time.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// clean makes text of others fit to be kept: Postgres takes neither invalid
// UTF-8 nor U+0000.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// usdOf returns what the database's nano-dollars mean; nil is not known.
func usdOf(nano *int64) *jobs.USD {
	if nano == nil {
		return nil
	}
	u := jobs.USD(*nano)
	return &u
}

// nanoOf is the reverse of usdOf. In SQL an amount is numeric, in dollars:
// nano * 0.000000001.
func nanoOf(u *jobs.USD) *int64 {
	if u == nil {
		return nil
	}
	n := int64(*u)
	return &n
}

// metadataOf returns nil for no metadata.
func metadataOf(m map[string]string) ([]byte, error) {
	if len(m) == 0 {
		return nil, nil
	}
	return json.Marshal(m)
}

// distinct splits items into those with a key nobody before them has, and the
// rest, both in order.
func distinct[T any, K comparable](items []T, key func(T) K) (first, rest []T) {
	seen := make(map[K]bool, len(items))
	for _, item := range items {
		k := key(item)
		if seen[k] {
			rest = append(rest, item)
			continue
		}
		seen[k] = true
		first = append(first, item)
	}
	return first, rest
}

func idsOf[V any](rows map[uuid.UUID]V) []uuid.UUID {
	ids := make([]uuid.UUID, 0, len(rows))
	for id := range rows {
		ids = append(ids, id)
	}
	return ids
}
