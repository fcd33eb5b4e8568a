package simulated

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Outage is a time when the server is away.
type Outage struct {
	// Start is when it begins.
	Start Start `json:"start"`
	// Duration is how long it lasts.
	Duration Duration `json:"duration"`
	// Mode is how it shows. Default: status.
	Mode Mode `json:"mode,omitempty"`
	// Status is the answer in mode status. Default: 503.
	Status int `json:"status,omitempty"`
	// RetryAfter is the answer's Retry-After header, word for word.
	RetryAfter string `json:"retry_after,omitempty"`
}

// Mode is how an outage shows.
type Mode string

// Modes of an outage.
const (
	Status Mode = "status" // each call is answered with an error status
	Hang   Mode = "hang"   // no call is answered until the outage ends; then its connection is cut
	Refuse Mode = "refuse" // connections are refused; over a real network they are cut at once
)

// Start is a point in time: a duration after the server was made, or an
// instant.
type Start struct {
	After time.Duration
	At    time.Time // wins unless zero
}

// MarshalText writes an instant as RFC 3339, a duration as Go prints it.
func (s Start) MarshalText() ([]byte, error) {
	if !s.At.IsZero() {
		return []byte(s.At.Format(time.RFC3339Nano)), nil
	}
	return []byte(s.After.String()), nil
}

// UnmarshalJSON reads "10m", 0, or "2026-03-01T08:00:00Z".
func (s *Start) UnmarshalJSON(raw []byte) error {
	var after Duration
	if after.UnmarshalJSON(raw) == nil {
		*s = Start{After: time.Duration(after)}
		return nil
	}
	var at time.Time
	if err := json.Unmarshal(raw, &at); err != nil {
		return fmt.Errorf(`start is a duration such as "10m" or a time such as "2026-03-01T08:00:00Z", not %s`, raw)
	}
	*s = Start{At: at}
	return nil
}

func (s Start) time(origin time.Time) time.Time {
	if s.At.IsZero() {
		return origin.Add(s.After)
	}
	return s.At
}

func (o Outage) validate() error {
	switch o.Mode {
	case "", Status, Hang, Refuse:
	default:
		return fmt.Errorf("mode must be status, hang or refuse, not %q", o.Mode)
	}
	switch {
	case o.Duration <= 0:
		return errors.New("duration must be positive")
	case o.Start.After < 0:
		return errors.New("start must not be negative")
	case o.Status != 0 && (o.Status < 400 || o.Status > 599):
		return fmt.Errorf("status must be from 400 to 599, not %d", o.Status)
	case strings.ContainsAny(o.RetryAfter, "\r\n\x00"):
		return errors.New("retry_after must be one line")
	case o.Status != 0 && o.Mode != "" && o.Mode != Status:
		return fmt.Errorf("mode %s has no status", o.Mode)
	}
	return nil
}

// outageAt is the outage at now, or nil.
func (f Faults) outageAt(origin, now time.Time) *Outage {
	for _, o := range f.Outages {
		start := o.Start.time(origin)
		if now.Before(start) || !now.Before(start.Add(time.Duration(o.Duration))) {
			continue
		}
		if o.Mode == "" {
			o.Mode = Status
		}
		if o.Status == 0 {
			o.Status = http.StatusServiceUnavailable
		}
		return &o
	}
	return nil
}

// end is when o is over.
func (o Outage) end(origin time.Time) time.Time {
	return o.Start.time(origin).Add(time.Duration(o.Duration))
}
