package simulated

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Call is one call the server got, as GET /calls lists it.
type Call struct {
	// Seq counts the server's calls from 1.
	Seq            uint64    `json:"seq"`
	Time           time.Time `json:"time"`
	Endpoint       string    `json:"endpoint"`
	Model          string    `json:"model"`
	IdempotencyKey string    `json:"idempotency_key"`
	// BodySHA256 is the hash of the request's body, 64 hex digits.
	BodySHA256 string `json:"body_sha256"`
	// Ended is when Outcome was told, zero before.
	Ended time.Time `json:"ended,omitzero"`
	// Outcome is "running" at first, then "ok", the kind of fault it met,
	// "outage", "limited", "refused" for a request that is wrong in itself, or
	// "left" when the caller was gone before the end.
	Outcome string `json:"outcome"`
}

// callLog keeps the latest calls in a ring.
type callLog struct {
	mu    sync.Mutex
	ring  []Call
	total uint64
}

func newCallLog(size int) *callLog { return &callLog{ring: make([]Call, 0, size)} }

// begin logs call as running and returns how to end it. What is said first of
// its end counts.
func (l *callLog) begin(call Call) (end func(outcome string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	call.Seq, call.Outcome = l.total, "running"
	at := (call.Seq - 1) % uint64(cap(l.ring))
	if at == uint64(len(l.ring)) {
		l.ring = append(l.ring, call)
	} else {
		l.ring[at] = call
	}
	return func(outcome string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if entry := &l.ring[at]; entry.Seq == call.Seq && entry.Outcome == "running" {
			entry.Outcome, entry.Ended = outcome, time.Now()
		}
	}
}

// Calls returns the calls the log still keeps, oldest first.
func (s *Server) Calls() []Call {
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ring) < cap(l.ring) {
		return append([]Call(nil), l.ring...)
	}
	oldest := l.total % uint64(cap(l.ring))
	return append(append([]Call(nil), l.ring[oldest:]...), l.ring[:oldest]...)
}

// listCalls answers GET /calls: JSON lines, oldest first.
func (s *Server) listCalls(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/jsonl")
	encoder := json.NewEncoder(w)
	for _, call := range s.Calls() {
		if encoder.Encode(call) != nil {
			return // the reader left
		}
	}
}
