package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// executionState is an execution as it is under its lock.
type executionState struct {
	id           uuid.UUID
	tenant, hash string
	// live says that its row is there; what follows is zero otherwise.
	live      bool
	fence     int64
	tries     int
	stopAt    time.Time
	startedAt *time.Time
	payer     uuid.UUID
	noStore   bool
	settling  bool
	// resultFence is the fence of the result, nil when there is none.
	resultFence *int64
	// degradable says that all of the live jobs would degrade.
	degradable bool
	// jobs are the live ones in the order of their ids, at most a share of a
	// chunk; more says that there are others.
	jobs []liveJob
	more bool
}

type liveJob struct {
	id       uuid.UUID
	deadline time.Time
	// staleAfter is nil when no other execution's result may answer the job.
	staleAfter *time.Time
	ephemeral  bool
	audience
}

// leastShare is how many jobs of an execution end in one transaction at least,
// however many executions it ends: most have no more.
const leastShare = 8

// share is how many jobs of each of n executions end in one transaction. Many
// executions with many jobs each must not make one that exceeds its timeout, for
// it would each time it is repeated.
func (s *Store) share(n int) int { return min(s.chunk, max(s.chunk/n, leastShare)) }

// lockStates locks the executions and reads them. Those that are not there and
// left no result are missing in the answer.
func (s *Store) lockStates(ctx context.Context, t *txn, ids []uuid.UUID) (map[uuid.UUID]*executionState, error) {
	const query = `
		SELECT k.id, q.tenant, q.hash, q.id IS NOT NULL, q.fence, q.tries, q.stop_at, q.started_at, q.payer_job_id,
			q.no_store, q.settling, r.fence, ` + allDegrade + `
		FROM unnest($1::uuid[]) AS k (id)
		LEFT JOIN LATERAL (SELECT * FROM queue q WHERE q.id = k.id OFFSET 0) q ON true
		LEFT JOIN LATERAL (SELECT r.fence FROM results r WHERE r.execution_id = k.id OFFSET 0) r ON true
		WHERE q.id IS NOT NULL OR r.fence IS NOT NULL`
	const live = `
		SELECT k.id, l.job_id, l.deadline, l.stale_after, l.ephemeral, l.webhook, l.batch, l.response
		FROM unnest($1::uuid[]) AS k (id)
		CROSS JOIN LATERAL (
			SELECT * FROM live_jobs l WHERE l.execution_id = k.id ORDER BY l.job_id LIMIT $2
		) l`
	states, share := map[uuid.UUID]*executionState{}, s.share(len(ids))
	lockExecutions(t, ids)
	t.each(func(rows pgx.Rows) error {
		e, err := scanState(rows)
		if err == nil {
			states[e.id] = e
		}
		return err
	}, query, ids)
	t.each(func(rows pgx.Rows) error {
		var id uuid.UUID
		var j liveJob
		if err := rows.Scan(&id, &j.id, &j.deadline, &j.staleAfter, &j.ephemeral, &j.webhook, &j.batch, &j.response); err != nil {
			return err
		}
		e := states[id]
		if e == nil {
			return fmt.Errorf("execution %s has live jobs and is not there", id)
		}
		if e.more = len(e.jobs) == share; !e.more {
			e.jobs = append(e.jobs, j)
		}
		return nil
	}, live, ids, share+1)
	return states, t.flush(ctx)
}

func scanState(rows pgx.Rows) (*executionState, error) {
	var (
		e                 executionState
		tenant, hash      *string
		fence             *int64
		tries             *int
		stopAt            *time.Time
		payer             *uuid.UUID
		noStore, settling *bool
	)
	err := rows.Scan(&e.id, &tenant, &hash, &e.live, &fence, &tries, &stopAt, &e.startedAt, &payer, &noStore, &settling,
		&e.resultFence, &e.degradable)
	e.tenant, e.hash, e.fence, e.tries = orZero(tenant), orZero(hash), orZero(fence), orZero(tries)
	e.stopAt, e.payer, e.noStore, e.settling = orZero(stopAt), orZero(payer), orZero(noStore), orZero(settling)
	return &e, err
}

// ending is what becomes of an execution and of its jobs.
type ending struct {
	*executionState
	// by is the fence under which a worker ended it, zero if none did.
	by     int64
	status jobs.Status
	body   json.RawMessage
	err    *jobs.JobError
	key    uuid.UUID
	at     time.Time
	// degraded says that a lesser target brought it.
	degraded bool
	// incomplete says that the answer ended at a bound of the request.
	incomplete bool
	// provider and model are those of the last call.
	provider, model string
	usage           usage
	allTries        int
}

func (e *ending) jobIDs() []uuid.UUID {
	return column(e.jobs, func(j liveJob) uuid.UUID { return j.id })
}

// ends lists how each live job ends: as the execution does, or expired when its
// own deadline is past.
func (e *ending) ends() []jobEnd {
	payer := e.payingJob()
	return column(e.jobs, func(j liveJob) jobEnd {
		end := jobEnd{
			job: j.id, execution: e.id, tenant: e.tenant, status: e.status, err: e.err, at: e.at, startedAt: e.startedAt,
			tries: e.allTries, provider: e.provider, usage: e.usage, pays: j.id == payer,
			hash: e.hash, staleAfter: j.staleAfter, ephemeral: j.ephemeral, audience: j.audience,
			degraded: e.degraded && e.status == jobs.StatusSucceeded,
		}
		if e.expired(j) {
			end.status, end.err, end.usage, end.degraded = jobs.StatusExpired, errExpired(), usage{}, false
		}
		return end
	})
}

func (e *ending) expired(j liveJob) bool { return !j.deadline.After(e.at) }

// payingJob returns which of the jobs at hand pays: the payer, or when that one
// expires the next that does not. It is nil when the payer is not at hand, and
// when the bill goes to one of those that are left.
func (e *ending) payingJob() uuid.UUID {
	if e.payer != uuid.Nil && !slices.ContainsFunc(e.jobs, func(j liveJob) bool { return j.id == e.payer }) {
		return uuid.Nil
	}
	var next uuid.UUID
	for _, j := range e.jobs {
		if e.expired(j) {
			continue
		}
		if j.id == e.payer {
			return e.payer
		}
		if next == uuid.Nil {
			next = j.id
		}
	}
	if next == uuid.Nil && !e.more {
		return e.lastPayer()
	}
	return next
}

// lastPayer is who pays when all jobs at hand are expired and none are left.
func (e *ending) lastPayer() uuid.UUID {
	if e.payer == uuid.Nil && len(e.jobs) > 0 {
		return e.jobs[0].id
	}
	return e.payer
}

// nextPayer is the payer of the jobs that are left: nil for the first of them
// that does not expire.
func (e *ending) nextPayer() uuid.UUID {
	atHand := slices.ContainsFunc(e.jobs, func(j liveJob) bool { return j.id == e.payer })
	if atHand && e.payingJob() == uuid.Nil {
		return uuid.Nil
	}
	if e.payer == uuid.Nil {
		return e.payingJob()
	}
	return e.payer
}

// The reasons why a job ended without a result, where the store gives them.
func errExpired() *jobs.JobError {
	return &jobs.JobError{Code: jobs.CodeExpired, Message: "the deadline passed before there was an answer"}
}

func errCancelled() *jobs.JobError {
	return &jobs.JobError{Code: jobs.CodeCancelled, Message: "the job was cancelled"}
}

func errPoisoned() *jobs.JobError {
	return &jobs.JobError{
		Code:    jobs.CodePoisoned,
		Message: fmt.Sprintf("%d workers died while they ran this request; submit it again to try once more", jobs.MaxCrashes),
	}
}

// writeEndings queues all that ends the executions and the first chunk of their
// jobs. Those with more jobs stay, settling: nobody attaches to them any more,
// and their result says what becomes of the rest.
func writeEndings(ctx context.Context, t *txn, endings []*ending) error {
	if len(endings) == 0 {
		return nil
	}
	insertResults(t, endings)
	var ends []jobEnd
	for _, e := range endings {
		ends = append(ends, e.ends()...)
	}
	if err := endJobs(ctx, t, ends); err != nil {
		return err
	}
	t.exec(`DELETE FROM releases WHERE execution_id = ANY ($1::uuid[])`,
		column(endings, func(e *ending) uuid.UUID { return e.id }))
	leaveQueue(t, endings)
	return nil
}

// leaveQueue removes the executions that have no job left and marks the others.
func leaveQueue(t *txn, endings []*ending) {
	const settle = `
		UPDATE queue q SET settling = true, dedupe_key = q.id::text, visible_at = 'infinity', payer_job_id = v.payer
		FROM unnest($1::uuid[], $2::uuid[]) AS v (id, payer)
		WHERE q.id = v.id AND q.id = ANY ($1)`
	var over, settling, payers []uuid.UUID
	for _, e := range endings {
		if e.more {
			settling, payers = append(settling, e.id), append(payers, e.nextPayer())
		} else {
			over = append(over, e.id)
		}
	}
	if len(over) > 0 {
		t.exec(`DELETE FROM queue WHERE id = ANY ($1::uuid[])`, over)
	}
	if len(settling) > 0 {
		t.exec(settle, settling, payers)
	}
}

func insertResults(t *txn, endings []*ending) {
	const insert = `
		INSERT INTO results (execution_id, tenant, hash, fence, status, body, error_code, error_message, provider, model,
			input_tokens, output_tokens, cached_tokens, reasoning_tokens, tries, cacheable, finished_at, key_id,
			degraded, incomplete)
		SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bytea[], $7::text[],
			$8::text[], $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[],
			$15::integer[], $16::boolean[], $17::timestamptz[], $18::uuid[], $19::boolean[],
			$20::boolean[])`
	t.exec(insert,
		column(endings, func(e *ending) uuid.UUID { return e.id }),
		column(endings, func(e *ending) string { return e.tenant }),
		column(endings, func(e *ending) string { return e.hash }),
		column(endings, func(e *ending) int64 { return e.by }),
		column(endings, func(e *ending) string { return string(e.status) }),
		column(endings, func(e *ending) []byte { return e.body }),
		column(endings, func(e *ending) *string { return errorCode(e.err) }),
		column(endings, func(e *ending) *string { return errorMessage(e.err) }),
		column(endings, func(e *ending) string { return e.provider }),
		column(endings, func(e *ending) string { return e.model }),
		column(endings, func(e *ending) *int64 { return e.usage.input }),
		column(endings, func(e *ending) *int64 { return e.usage.output }),
		column(endings, func(e *ending) *int64 { return e.usage.cached }),
		column(endings, func(e *ending) *int64 { return e.usage.reasoning }),
		column(endings, func(e *ending) int { return e.allTries }),
		column(endings, func(e *ending) bool { return e.status == jobs.StatusSucceeded && !e.noStore && !e.degraded }),
		column(endings, func(e *ending) time.Time { return e.at }),
		column(endings, func(e *ending) *uuid.UUID { return orNull(e.key) }),
		column(endings, func(e *ending) bool { return e.degraded }),
		column(endings, func(e *ending) bool { return e.incomplete }))
}

func errorCode(e *jobs.JobError) *string {
	if e == nil {
		return nil
	}
	return &e.Code
}

func errorMessage(e *jobs.JobError) *string {
	if e == nil {
		return nil
	}
	message := clean(e.Message)
	return &message
}
