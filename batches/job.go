package batches

import (
	"encoding/json"

	"github.com/penstock-dev/penstock/jobs"
)

// Job returns what a line of the batch asks for whose body is given. It has neither
// deadline nor idempotency key.
func (b Batch) Job(body json.RawMessage) jobs.NewJob {
	p := b.Policy
	return jobs.NewJob{
		Tenant: b.Tenant, Endpoint: b.Endpoint, Request: body, Priority: p.Priority,
		NoDedupe: p.NoDedupe, MaxAge: p.MaxAge, StaleWhileRevalidate: p.StaleWhileRevalidate,
		StaleIfError: p.StaleIfError, NoStore: p.NoStore, OnUnavailable: p.OnUnavailable,
		UseCase: p.UseCase, User: p.User, Ephemeral: p.Ephemeral,
	}
}
