package sqlite

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// never is the visible_at of an execution that is not to be released.
const never = math.MaxInt64

// id returns what an id is in the database.
func id(u uuid.UUID) []byte { return u[:] }

// idOrNull returns what an id is in the database that there need not be.
func idOrNull(u uuid.UUID) any {
	if u == uuid.Nil {
		return nil
	}
	return id(u)
}

// micros returns what a time is in the database: 0 if it is not known.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// when is the reverse of micros.
func when(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// orNull returns nil for the zero value.
func orNull[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}

// amount returns what money is in the database: nil if it is not known.
func amount(u *jobs.USD) any {
	if u == nil {
		return nil
	}
	return int64(*u)
}

func amountOf(n *int64) *jobs.USD {
	if n == nil {
		return nil
	}
	u := jobs.USD(*n)
	return &u
}

// usage is token counts in the database: null if they are not known.
type usage struct{ input, output, cached, reasoning *int64 }

func usageOf(u providers.Usage) usage {
	if !u.Known {
		return usage{}
	}
	return usage{&u.InputTokens, &u.OutputTokens, &u.CachedTokens, &u.ReasoningTokens}
}

func (u usage) tokens() providers.Usage {
	if u.input == nil {
		return providers.Usage{}
	}
	return providers.Usage{
		Known: true, InputTokens: *u.input, OutputTokens: orZero(u.output),
		CachedTokens: orZero(u.cached), ReasoningTokens: orZero(u.reasoning),
	}
}

func orZero[T any](v *T) T {
	if v == nil {
		var zero T
		return zero
	}
	return *v
}

// metadataOf returns nil for no metadata.
func metadataOf(m map[string]string) (any, error) {
	if len(m) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write metadata: %w", err)
	}
	return string(b), nil
}
