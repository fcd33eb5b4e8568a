package httpapi

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// endpointFields read what is said about an endpoint into c. Null is what an endpoint has
// if nothing is said.
func endpointFields(c *delivery.Change) map[string]field {
	return map[string]field{
		"url":            into(&c.URL, "a string"),
		"description":    into(&c.Description, "a string"),
		"types":          list(&c.Types, word[string]),
		"metadata":       pairs(&c.Metadata),
		"timeout":        positive(span(&c.Timeout), func() bool { return *c.Timeout != 0 }),
		"per_minute":     positive(into(&c.PerMinute, "a whole number"), func() bool { return *c.PerMinute != 0 }),
		"concurrency":    positive(into(&c.Concurrency, "a whole number"), func() bool { return *c.Concurrency != 0 }),
		"schedule":       schedule(&c.Schedule),
		"headers":        pairs(&c.Header),
		"include_result": into(&c.IncludeResult, "true or false"),
		"status":         status(&c.Disabled),
	}
}

// into reads a value of the JSON type that want names.
func into[T any](to **T, want string) field {
	return func(d *decoder, pointer string, raw json.RawMessage) {
		value := new(T)
		if isNull(raw) || decode(d, pointer, raw, value, want) {
			*to = value
		}
	}
}

// text reads a string; null is none.
func text(to *string) field {
	return func(d *decoder, pointer string, raw json.RawMessage) {
		if !isNull(raw) {
			decode(d, pointer, raw, to, "a string")
		}
	}
}

// span reads a duration.
func span(to **time.Duration) field {
	return func(d *decoder, pointer string, raw json.RawMessage) {
		value := new(time.Duration)
		if isNull(raw) || d.duration(pointer, raw, value) {
			*to = value
		}
	}
}

// positive is a field that is not zero when it is said: null is the word for that.
func positive(read field, ok func() bool) field {
	return func(d *decoder, pointer string, raw json.RawMessage) {
		read(d, pointer, raw)
		if !isNull(raw) && !d.failed(pointer) && !ok() {
			d.fail(pointer, "must not be zero; null is for what there is if nothing is said")
		}
	}
}

// pairs reads an object of strings.
func pairs(to **map[string]string) field {
	return func(d *decoder, pointer string, raw json.RawMessage) {
		value := map[string]string{}
		if !isNull(raw) {
			value = d.texts(pointer, raw)
		}
		*to = &value
	}
}

// list reads an array, each entry with read.
func list[T any](to **[]T, read func(d *decoder, pointer string, raw json.RawMessage, to *T)) field {
	return func(d *decoder, pointer string, raw json.RawMessage) {
		var entries []json.RawMessage
		if !isNull(raw) && !decode(d, pointer, raw, &entries, "an array") {
			return
		}
		values := make([]T, len(entries))
		for i, entry := range entries {
			read(d, pointer+"/"+strconv.Itoa(i), entry, &values[i])
		}
		*to = &values
	}
}

// word reads an entry that is a string.
func word[T ~string](d *decoder, pointer string, raw json.RawMessage, to *T) {
	decode(d, pointer, raw, to, "a string")
}

// schedule reads how long after one another the attempts are.
func schedule(to **delivery.Schedule) field {
	var waits *[]time.Duration
	read := list(&waits, func(d *decoder, at string, raw json.RawMessage, to *time.Duration) { d.duration(at, raw, to) })
	return func(d *decoder, pointer string, raw json.RawMessage) {
		if read(d, pointer, raw); waits != nil {
			*to = (*delivery.Schedule)(waits)
		}
	}
}

func status(disabled **bool) field {
	return func(d *decoder, pointer string, raw json.RawMessage) {
		word := "enabled"
		if !isNull(raw) {
			word = ""
			_ = json.Unmarshal(raw, &word)
		}
		if word != "enabled" && word != "disabled" {
			d.fail(pointer, "must be enabled or disabled")
		}
		*disabled = new(word == "disabled")
	}
}
