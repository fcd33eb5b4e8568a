package sqlite

import (
	"context"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// result is the outcome of an execution, as it is kept.
type result struct {
	fence  int64
	status jobs.Status
	body   []byte
	key    uuid.UUID
	error  jobs.JobError
	model  string
	usage  usage
	// at is in microseconds.
	at int64
	// degraded says that a lesser target brought it.
	degraded bool
	// incomplete says that the answer ended at a bound of the request.
	incomplete bool
}

// end is how the execution's jobs end by it.
func (r result) end() end {
	return end{status: r.status, at: r.at, degraded: r.degraded && r.status == jobs.StatusSucceeded}
}

func resultOf(e execution, o jobs.Outcome) result {
	r := result{
		fence: e.fence, status: o.Status, body: o.Result, key: o.KeyID, model: o.Call.Model,
		usage: usageOf(o.Call.Usage), at: micros(o.At), degraded: o.Degraded, incomplete: o.Incomplete,
	}
	if o.Error != nil {
		r.error = *o.Error
	}
	return r
}

// poisoned is the result of an execution that crashed too often.
func poisoned(e execution, at int64) result {
	return refused(e, jobs.JobError{Code: jobs.CodePoisoned, Message: messagePoisoned}, at)
}

// refused is the result of an execution that no worker ended. It has the next
// fence, which no worker has: the last one comes too late.
func refused(e execution, why jobs.JobError, at int64) result {
	return result{fence: e.fence + 1, status: jobs.StatusFailed, model: e.releasedTo.Model, at: at, error: why}
}

// insertResult keeps the result. It may be copied for later jobs if it is a
// success of a target that is no lesser one, and none of the execution's jobs was
// against it.
func insertResult(ctx context.Context, t *statements, e execution, r result) error {
	cacheable := r.status == jobs.StatusSucceeded && !e.noStore && !r.degraded
	_, err := t.exec(ctx, `
		INSERT INTO results (execution_id, tenant, hash, fence, status, body, error_code, error_message, provider, model,
			input_tokens, output_tokens, cached_tokens, reasoning_tokens, tries, cacheable, finished_at, key_id,
			degraded, incomplete)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id(e.id), e.tenant, e.hash, r.fence, string(r.status), r.body, r.error.Code, r.error.Message, e.provider, r.model,
		r.usage.input, r.usage.output, r.usage.cached, r.usage.reasoning, e.tries, cacheable, r.at, idOrNull(r.key), r.degraded, r.incomplete)
	return err
}
