package delivery

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// Delivery is one event going to one endpoint.
type Delivery struct {
	// ID is the webhook-id: the same at each attempt, and of one body. It follows from
	// the event and the endpoint, so that a delivery is made once: see [IDOf].
	ID       uuid.UUID
	Tenant   string
	Endpoint uuid.UUID
	Event    uuid.UUID
	// Job is that of the event; nil when it is of none.
	Job  uuid.UUID
	Type string
	// URL is where it goes, when that is not its endpoint's: see [Endpoint].PerJob.
	URL    string
	Status Status
	// Trigger is why it was made pending, the last time.
	Trigger Trigger
	// Replay is the operation that made it pending, the last time; nil if none did.
	Replay uuid.UUID
	// Attempts is how many were made.
	Attempts int
	// Step is how many steps of the schedule are used up since Trigger.
	Step int
	// Thin says that the endpoint takes no body of the full size.
	Thin bool
	// DueAt is when a pending one is attempted next, at the earliest.
	DueAt time.Time
	// CreatedAt is when the event was written, FinishedAt when the delivery was
	// delivered, failed or skipped: by an attempt at its At plus Latency.
	CreatedAt, FinishedAt time.Time
}

// Status is where a delivery stands. Only [Redeliver] and [Replay] make one that has
// finished pending again.
type Status string

// The statuses of a delivery.
const (
	StatusPending   Status = "pending"
	StatusDelivered Status = "delivered"
	// StatusFailed: the schedule is used up, or it can never be sent.
	StatusFailed Status = "failed"
	// StatusSkipped: the endpoint was disabled.
	StatusSkipped Status = "skipped"
)

// Trigger is why a delivery is attempted.
type Trigger string

// The triggers.
const (
	TriggerEvent     Trigger = "event"
	TriggerRedeliver Trigger = "redeliver"
	TriggerReplay    Trigger = "replay"
	TriggerTest      Trigger = "test"
)

// Bulk reports whether deliveries of this trigger wait for all others of their endpoint.
func (t Trigger) Bulk() bool { return t == TriggerReplay }

// Due is a pending delivery as a courier takes it.
type Due struct {
	Delivery

	// Body is what is sent; nil before the first attempt.
	Body []byte
	// Lost says that its body was kept and opens for nobody: it can be sent no more.
	Lost bool
	// Data is what the event tells if it is of no job; nil if it is of one.
	Data json.RawMessage
}

// Body is what a delivery sends, kept before the first byte of it leaves.
type Body struct {
	Delivery uuid.UUID
	Endpoint uuid.UUID
	Tenant   string
	Body     []byte
	// KeyID names the key that Body is sealed with when it is kept; nil: it is in
	// plain. Nobody but a store that seals knows of it.
	KeyID uuid.UUID
}

// Record is an attempt, and what becomes of its delivery.
type Record struct {
	Attempt

	Delivery uuid.UUID
	Endpoint uuid.UUID
	Tenant   string
	// N counts the delivery's attempts, from 1. One that is recorded twice, or that
	// two couriers made, counts once.
	N       int
	Trigger Trigger
	// At is when the attempt began.
	At time.Time
	// Status is that of the delivery from now on. Step and DueAt are those of one that
	// is pending still; Thin holds in any case.
	Status Status
	Step   int
	DueAt  time.Time
	Thin   bool
	// KeyID names the key that Answer is sealed with when it is kept.
	KeyID uuid.UUID
}

// Event is a fact that is of no job.
type Event struct {
	// ID begins, as one of [NewEventID] does, with the milliseconds of CreatedAt.
	ID     uuid.UUID
	Tenant string
	Type   string
	// Data is what it tells.
	Data      json.RawMessage
	CreatedAt time.Time
	// Except is an endpoint that is not told; nil: all that want it are.
	Except uuid.UUID
	// Only is the one endpoint that is told, whatever it wants; nil: all that want it.
	Only uuid.UUID
	// Trigger is [TriggerEvent] or [TriggerTest].
	Trigger Trigger
}

// Replay is an operation: it makes those deliveries of an endpoint pending again that
// it selects, however many they are.
type Replay struct {
	ID       uuid.UUID
	Tenant   string
	Endpoint uuid.UUID
	// Since and Until bound when the event was written: at Since or later, before Until,
	// if that is not zero.
	Since, Until time.Time
	// Statuses and Types select; empty: all. [StatusPending] selects nothing.
	Statuses []Status
	Types    []string

	Status ReplayStatus
	// Total is how many there were to send when it was made, Queued how many have been
	// made pending so far, Delivered and Failed what became of them.
	Total, Queued, Delivered, Failed int64
	CreatedAt, FinishedAt            time.Time
}

// ReplayStatus is where a replay stands.
type ReplayStatus string

// The statuses of a replay.
const (
	// ReplayRunning: not all that it selects has been sent.
	ReplayRunning ReplayStatus = "running"
	// ReplayFinished: all was delivered, failed or skipped.
	ReplayFinished ReplayStatus = "finished"
	// ReplayCancelled: what had not been sent is as it was before.
	ReplayCancelled ReplayStatus = "cancelled"
)
