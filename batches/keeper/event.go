package keeper

import (
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// told is what an event tells of a batch, in the words of OpenAI's API.
type told struct {
	ID       string         `json:"id"`
	Object   string         `json:"object"`
	Status   batches.Status `json:"status"`
	Endpoint string         `json:"endpoint"`
	Input    string         `json:"input_file_id"`
	// Output and Errors are files that have something in them.
	Output   *string           `json:"output_file_id"`
	Errors   *string           `json:"error_file_id"`
	Counts   toldCounts        `json:"request_counts"`
	Metadata map[string]string `json:"metadata"`
}

// toldCounts are those of lines. Failed has all that have no answer.
type toldCounts struct {
	Total     int `json:"total"`
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
}

// event returns the event of the end of a batch.
func event(b batches.Batch) (*delivery.Event, error) {
	id, err := delivery.NewEventID(b.EndedAt)
	if err != nil {
		return nil, err
	}
	if b.Metadata == nil {
		b.Metadata = map[string]string{}
	}
	without := b.Counts.Failed + b.Counts.Cancelled + b.Counts.Expired
	data, err := json.Marshal(told{
		ID: named("batch_", b.ID), Object: "batch", Status: b.Status, Endpoint: b.Endpoint, Input: named("file-", b.Input),
		Output: fileIf(b.Counts.Succeeded > 0, b.Output), Errors: fileIf(without > 0, b.Errors),
		Counts:   toldCounts{Total: b.Counts.Total, Completed: b.Counts.Succeeded, Failed: without},
		Metadata: b.Metadata,
	})
	if err != nil {
		return nil, fmt.Errorf("write an event: %w", err)
	}
	return &delivery.Event{
		ID: id, Tenant: b.Tenant, Type: "batch." + string(b.Status), Data: data, CreatedAt: b.EndedAt,
		Trigger: delivery.TriggerEvent,
	}, nil
}

func fileIf(some bool, id uuid.UUID) *string {
	if !some {
		return nil
	}
	return new(named("file-", id))
}

// named writes an id as OpenAI's clients know it.
func named(kind string, id uuid.UUID) string { return kind + hex.EncodeToString(id[:]) }
