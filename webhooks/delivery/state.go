package delivery

import "time"

// State is how an endpoint fares: what couriers know of it that must outlive them. Only
// the courier that holds the endpoint's lease changes it. The zero State is that of an
// endpoint to which nothing was sent. It is kept as JSON.
type State struct {
	// PausedUntil is until when the endpoint asked to be left alone.
	PausedUntil time.Time `json:"paused_until,omitzero"`
	// PacedUntil is when the rate limit lets the next attempt begin.
	PacedUntil time.Time `json:"paced_until,omitzero"`
	// OpenUntil is when the breaker lets the next probe pass; zero: it is closed.
	OpenUntil time.Time `json:"open_until,omitzero"`
	// Openings counts those since the last success.
	Openings int `json:"openings,omitempty"`
	// RampSince is when traffic began to come back after an opening; zero: it is back.
	RampSince time.Time `json:"ramp_since,omitzero"`
	// Failures counts the failed attempts since the last success, and FailingSince is
	// when the first of them was.
	Failures     int       `json:"failures,omitempty"`
	FailingSince time.Time `json:"failing_since,omitzero"`
	LastSuccess  time.Time `json:"last_success,omitzero"`
	// Warned counts the endpoint.failing events since the last success.
	Warned int `json:"warned,omitempty"`
	// Latency is how long attempts take, smoothed; a timeout counts as its whole time.
	Latency time.Duration `json:"latency_ns,omitempty"`
	// Slow says that it gets its turns from the slow queue.
	Slow bool `json:"slow,omitempty"`
}

// ResumeAt is before when nothing is sent.
func (s State) ResumeAt() time.Time {
	latest := s.PausedUntil
	for _, t := range []time.Time{s.PacedUntil, s.OpenUntil} {
		if t.After(latest) {
			latest = t
		}
	}
	return latest
}
