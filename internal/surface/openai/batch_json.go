package openai

import (
	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/providers"
)

// batchJSON is a batch as OpenAI tells of it.
type batchJSON struct {
	ID       string         `json:"id"`
	Object   string         `json:"object"`
	Endpoint string         `json:"endpoint"`
	Errors   *problemsJSON  `json:"errors"`
	Input    string         `json:"input_file_id"`
	Window   string         `json:"completion_window"`
	Status   batches.Status `json:"status"`
	// Output and ErrorFile are there as soon as they have something in them.
	Output    *string `json:"output_file_id"`
	ErrorFile *string `json:"error_file_id"`

	CreatedAt    int64  `json:"created_at"`
	InProgressAt *int64 `json:"in_progress_at"`
	ExpiresAt    *int64 `json:"expires_at"`
	FinalizingAt *int64 `json:"finalizing_at"`
	CompletedAt  *int64 `json:"completed_at"`
	FailedAt     *int64 `json:"failed_at"`
	ExpiredAt    *int64 `json:"expired_at"`
	CancellingAt *int64 `json:"cancelling_at"`
	CancelledAt  *int64 `json:"cancelled_at"`

	Counts   countsJSON        `json:"request_counts"`
	Usage    *usageJSON        `json:"usage"`
	Metadata map[string]string `json:"metadata"`
	// Paused is more than OpenAI has.
	Paused bool `json:"paused"`
}

type problemsJSON struct {
	Object string        `json:"object"`
	Data   []problemJSON `json:"data"`
}

type problemJSON struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Param   *string `json:"param"`
	Line    *int    `json:"line"`
}

type countsJSON struct {
	Total     int `json:"total"`
	Completed int `json:"completed"`
	// Failed has all that have no answer, cancelled and expired ones too.
	Failed int `json:"failed"`
}

type usageJSON struct {
	InputTokens   int64         `json:"input_tokens"`
	InputDetails  cachedJSON    `json:"input_tokens_details"`
	OutputTokens  int64         `json:"output_tokens"`
	OutputDetails reasoningJSON `json:"output_tokens_details"`
	TotalTokens   int64         `json:"total_tokens"`
}

type cachedJSON struct {
	CachedTokens int64 `json:"cached_tokens"`
}

type reasoningJSON struct {
	ReasoningTokens int64 `json:"reasoning_tokens"`
}

func encodeBatch(b batches.Batch) batchJSON {
	without := b.Counts.Failed + b.Counts.Cancelled + b.Counts.Expired
	out := batchJSON{
		ID: surface.BatchID(b.ID), Object: "batch", Endpoint: b.Endpoint, Errors: encodeProblems(b),
		Input: surface.FileID(b.Input), Window: b.Window, Status: b.Status,
		Output: fileIf(b.Counts.Succeeded > 0, b.Output), ErrorFile: fileIf(without > 0, b.Errors),
		CreatedAt: b.CreatedAt.Unix(), InProgressAt: unixOrNull(b.StartedAt), ExpiresAt: unixOrNull(b.Deadline),
		FinalizingAt: unixOrNull(b.FinalizingAt), CancellingAt: unixOrNull(b.CancellingAt),
		Counts: countsJSON{Total: b.Counts.Total, Completed: b.Counts.Succeeded, Failed: without},
		Usage:  encodeUsage(b.Usage), Metadata: b.Metadata, Paused: b.Paused,
	}
	if out.Metadata == nil {
		out.Metadata = map[string]string{}
	}
	for status, at := range map[batches.Status]**int64{
		batches.StatusCompleted: &out.CompletedAt, batches.StatusFailed: &out.FailedAt,
		batches.StatusExpired: &out.ExpiredAt, batches.StatusCancelled: &out.CancelledAt,
	} {
		if status == b.Status {
			*at = unixOrNull(b.EndedAt)
		}
	}
	return out
}

func encodeProblems(b batches.Batch) *problemsJSON {
	if len(b.Problems) == 0 {
		return nil
	}
	all := &problemsJSON{Object: "list", Data: make([]problemJSON, len(b.Problems))}
	for i, p := range b.Problems {
		all.Data[i] = problemJSON{Code: p.Code, Message: p.Message, Param: orNull(paramOf(p.Param)), Line: orNull(p.Line)}
	}
	return all
}

func encodeUsage(u providers.Usage) *usageJSON {
	if !u.Known {
		return nil
	}
	return &usageJSON{
		InputTokens: u.InputTokens, InputDetails: cachedJSON{u.CachedTokens},
		OutputTokens: u.OutputTokens, OutputDetails: reasoningJSON{u.ReasoningTokens},
		TotalTokens: u.InputTokens + u.OutputTokens,
	}
}

func fileIf(any bool, id uuid.UUID) *string { //nolint:revive // any is what it is about
	if !any {
		return nil
	}
	return new(surface.FileID(id))
}
