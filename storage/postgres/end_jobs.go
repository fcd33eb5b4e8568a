package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// jobEnd is how one job ends.
type jobEnd struct {
	job, execution uuid.UUID
	tenant         string
	status         jobs.Status
	err            *jobs.JobError
	at             time.Time
	// hash and staleAfter say which results may answer the job if its execution
	// brings none; staleAfter is nil when none may.
	hash       string
	staleAfter *time.Time
	ephemeral  bool
	audience
	// startedAt is that of the execution.
	startedAt *time.Time
	tries     int
	provider  string
	usage     usage
	// pays says that the known costs of the execution's calls are the job's.
	pays bool
	// degraded says that the answer is one that only [jobs.OnUnavailableDegrade]
	// allows.
	degraded bool
	// answer is the other execution whose result answers the job, nil when none
	// does, and answeredAt when that one finished.
	answer     uuid.UUID
	answeredAt *time.Time
}

// maxEnds is how many jobs one statement ends: a join of two lists of that
// length is no work.
const maxEnds = 250

// endJobs queues the end of live jobs whose execution is locked, with the
// events that tell of it and their deliveries.
func endJobs(ctx context.Context, t *txn, all []jobEnd) error {
	if err := answerStale(ctx, t, all); err != nil {
		return err
	}
	for ends := range slices.Chunk(all, maxEnds) {
		endSome(t, ends)
	}
	holdEnded(t, all)
	return nil
}

func endSome(t *txn, ends []jobEnd) {
	const update = `
		UPDATE jobs j SET status = v.status, finished_at = v.at,
			started_at = CASE WHEN v.started_at IS NULL THEN NULL ELSE greatest(v.started_at, j.created_at) END,
			tries = v.tries, provider = v.provider, input_tokens = v.input_tokens, output_tokens = v.output_tokens,
			cached_tokens = v.cached_tokens, reasoning_tokens = v.reasoning_tokens,
			cost_usd = CASE WHEN NOT v.pays THEN 0 ELSE
				(SELECT sum(c.cost_usd) FROM calls c WHERE c.execution_id = v.execution_id) END,
			error_code = v.error_code, error_message = v.error_message,
			answer_of = v.answer_of, cached = v.answer_of IS NOT NULL,
			age_us = coalesce(greatest(extract(epoch FROM j.created_at - v.answered_at) * 1000000, 0), 0),
			degraded = v.degraded
		FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::integer[], $7::text[],
				$8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::boolean[], $13::text[], $14::text[],
				$15::uuid[], $16::timestamptz[], $17::boolean[])
			AS v (id, execution_id, status, at, started_at, tries, provider,
				input_tokens, output_tokens, cached_tokens, reasoning_tokens, pays, error_code, error_message,
				answer_of, answered_at, degraded)
		WHERE j.id = v.id AND j.id = ANY ($1) AND j.status = 'queued'`
	const leave = `
		DELETE FROM live_jobs WHERE ctid = ANY (ARRAY (
			SELECT l.ctid FROM unnest($1::uuid[], $2::uuid[]) AS v (execution_id, job_id)
			CROSS JOIN LATERAL (
				SELECT l.ctid FROM live_jobs l WHERE l.execution_id = v.execution_id AND l.job_id = v.job_id OFFSET 0
			) l))`
	ids := column(ends, func(e jobEnd) uuid.UUID { return e.job })
	executions := column(ends, func(e jobEnd) uuid.UUID { return e.execution })
	t.exec(update, ids, executions,
		column(ends, func(e jobEnd) string { return string(e.status) }),
		column(ends, func(e jobEnd) time.Time { return e.at }),
		column(ends, func(e jobEnd) *time.Time { return e.startedAt }),
		column(ends, func(e jobEnd) int { return e.tries }),
		column(ends, func(e jobEnd) string { return e.provider }),
		column(ends, func(e jobEnd) *int64 { return e.usage.input }),
		column(ends, func(e jobEnd) *int64 { return e.usage.output }),
		column(ends, func(e jobEnd) *int64 { return e.usage.cached }),
		column(ends, func(e jobEnd) *int64 { return e.usage.reasoning }),
		column(ends, func(e jobEnd) bool { return e.pays }),
		column(ends, func(e jobEnd) *string { return errorCode(e.err) }),
		column(ends, func(e jobEnd) *string { return errorMessage(e.err) }),
		column(ends, func(e jobEnd) *uuid.UUID { return orNull(e.answer) }),
		column(ends, func(e jobEnd) *time.Time { return e.answeredAt }),
		column(ends, func(e jobEnd) bool { return e.degraded }))
	t.exec(leave, executions, ids)
	tell(t, column(ends, func(e jobEnd) told {
		return told{tenant: e.tenant, job: e.job, status: e.status, at: e.at, audience: e.audience}
	}))
}
