package courier

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// failing is what an endpoint.failing event tells, and an endpoint.disabled event.
type failing struct {
	ID          uuid.UUID       `json:"id"`
	Object      string          `json:"object"`
	Description string          `json:"description"`
	Reason      delivery.Reason `json:"reason,omitempty"`
	// FailingSince is nil if the endpoint was not failing.
	FailingSince *time.Time `json:"failing_since"`
	Failures     int        `json:"failures"`
	// DisabledAt is when it will be disabled if nothing gets better, or was.
	DisabledAt time.Time `json:"disabled_at"`
}

// failingEvent warns of an endpoint that will be disabled. It is for the tenant's others.
func failingEvent(e delivery.Endpoint, s delivery.State, now time.Time) delivery.Event {
	return event(e, delivery.EndpointFailing, fmt.Sprint(s.FailingSince.UnixMicro(), s.Warned), now,
		about(e, s, "", s.FailingSince.Add(disableAfter)))
}

// disabledEvent tells of an endpoint that is disabled. It is for the tenant's others.
func disabledEvent(e delivery.Endpoint, s delivery.State, why delivery.Reason, now time.Time) delivery.Event {
	return event(e, delivery.EndpointDisabled, fmt.Sprint(why, now.UnixMicro()), now, about(e, s, why, now))
}

func about(e delivery.Endpoint, s delivery.State, why delivery.Reason, disabled time.Time) failing {
	f := failing{
		ID: e.ID, Object: "webhook_endpoint", Description: e.Description, Reason: why,
		Failures: s.Failures, DisabledAt: stamp(disabled),
	}
	if !s.FailingSince.IsZero() {
		since := stamp(s.FailingSince)
		f.FailingSince = &since
	}
	return f
}

// event returns an event whose id follows from what it tells of, with its time in front.
func event(e delivery.Endpoint, eventType, what string, now time.Time, data failing) delivery.Event {
	id := uuid.NewSHA1(e.ID, []byte(eventType+what))
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(now.UnixMilli(), 0))<<16)
	copy(id[:6], ms[:6])
	body, _ := json.Marshal(data) // it has nothing that cannot be encoded
	return delivery.Event{
		ID: delivery.IDOf(id, e.ID), Tenant: e.Tenant, Type: eventType, Data: body, CreatedAt: stamp(now),
		Except: e.ID, Trigger: delivery.TriggerEvent,
	}
}
