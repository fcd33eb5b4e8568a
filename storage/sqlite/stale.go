package sqlite

import (
	"context"

	"github.com/penstock-dev/penstock/jobs"
)

// staleAnswer is the result that answers a job whose own execution brought none.
type staleAnswer struct {
	// execution is nil when there is no such result.
	execution  any
	finishedAt int64
	provider   string
}

// copyable is which results may answer other jobs than their execution's own:
// not those that a job was against, or that were sealed with a key erased since.
const copyable = `
	cacheable AND (key_id IS NULL OR (SELECT k.erased_at = 0 FROM tenant_keys k WHERE k.id = results.key_id))`

// answerStale looks for the newest result that may answer a job that would end
// without an answer (stale-if-error, RFC 5861), and if there is one makes that
// end a success.
func (e execution) answerStale(ctx context.Context, t *statements, how *end) (staleAnswer, error) {
	if how.staleAfter == 0 || how.status != jobs.StatusFailed && how.status != jobs.StatusExpired {
		return staleAnswer{}, nil
	}
	a, err := e.stored(ctx, t, how.staleAfter)
	if err != nil || a.execution == nil {
		return staleAnswer{}, err
	}
	how.status, how.failure = jobs.StatusSucceeded, jobs.JobError{}
	return a, nil
}

// anyAge is the staleAfter of a job that takes a result however old.
const anyAge = 1

// stored looks for the newest result of the execution's hash that finished after
// the given time, in microseconds.
func (e execution) stored(ctx context.Context, t *statements, after int64) (a staleAnswer, err error) {
	var execution []byte
	ok, err := found(t.row(ctx, `
		SELECT execution_id, finished_at, provider FROM results
		WHERE hash = ? AND tenant = ? AND finished_at > ? AND `+copyable+`
		ORDER BY finished_at DESC LIMIT 1`, e.hash, e.tenant, after).
		Scan(&execution, &a.finishedAt, &a.provider))
	if err == nil && ok {
		a.execution = execution
	}
	return a, err
}
