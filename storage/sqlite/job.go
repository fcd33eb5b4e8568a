package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Job returns the job: see [jobs.ReadStore].
func (s *Store) Job(ctx context.Context, tenant string, jobID uuid.UUID) (jobs.Job, error) {
	return read(ctx, s, "read a job", func(ctx context.Context, q *statements) (jobs.Job, error) {
		return jobByID(ctx, q, tenant, jobID)
	})
}

func jobByID(ctx context.Context, q *statements, tenant string, jobID uuid.UUID) (jobs.Job, error) {
	j, err := scanJob(q.row(ctx, selectJob+` WHERE j.id = ? AND j.tenant = ?`, id(jobID), tenant))
	if errors.Is(err, sql.ErrNoRows) {
		return jobs.Job{}, jobs.ErrNotFound
	}
	return j, err
}

// Standings tells how jobs stand: see [jobs.ReadStore].
func (s *Store) Standings(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]jobs.Standing, error) {
	return read(ctx, s, "see how jobs stand",
		func(ctx context.Context, q *statements) (map[uuid.UUID]jobs.Standing, error) {
			standings := make(map[uuid.UUID]jobs.Standing, len(ids))
			for _, jobID := range ids {
				j, ok, err := standingOf(ctx, q, jobID)
				if err != nil {
					return nil, err
				}
				if ok {
					standings[jobID] = j
				}
			}
			return standings, nil
		})
}

func standingOf(ctx context.Context, q *statements, jobID uuid.UUID) (jobs.Standing, bool, error) {
	var s jobs.Standing
	var running bool
	var visibleAt int64
	ok, err := found(q.row(ctx, `
		SELECT j.status, r.worker IS NOT NULL OR coalesce(q.settling, 0), coalesce(q.visible_at, 0),
			coalesce(q.waiting_on, '')
		FROM jobs j
		LEFT JOIN queue q ON j.status = 'queued' AND q.id = j.execution_id
		LEFT JOIN releases r ON j.status = 'queued' AND r.execution_id = j.execution_id
		WHERE j.id = ?`, id(jobID)).Scan(&s.Status, &running, &visibleAt, &s.WaitingOn))
	switch {
	case err != nil || !ok:
		return jobs.Standing{}, false, err
	case s.Status == jobs.StatusQueued:
		s.Status, s.WaitingOn = standing(running, when(visibleAt), s.WaitingOn)
	default:
		s.WaitingOn = ""
	}
	return s, true, nil
}

// selectJob reads jobs with what is told of them elsewhere: by the execution of
// a live one, by the result of one that succeeded or failed.
const (
	selectJob    = selectJobHead + `res.body` + selectJobTail
	selectListed = selectJobHead + `NULL` + selectJobTail

	selectJobHead = `
		SELECT j.id, j.tenant, j.execution_id, j.status, j.endpoint, j.model, j.priority, j.deadline, j.created_at,
			j.hash, j.deduplicated, j.cached, j.age, j.cost_usd, j.metadata, j.end_user, j.finished_at,
			coalesce(q.tries, j.tries), coalesce(q.provider, j.provider),
			CASE WHEN q.started_at > 0 THEN max(q.started_at, j.created_at) ELSE j.started_at END,
			r.worker IS NOT NULL OR coalesce(q.settling, 0), coalesce(q.visible_at, 0), coalesce(q.waiting_on, ''),
			res.input_tokens, res.output_tokens, res.cached_tokens, res.reasoning_tokens,
			coalesce(res.error_code, j.error_code), coalesce(res.error_message, j.error_message), j.answer_of, j.ephemeral, j.dropped_at,
			j.on_unavailable, j.degraded, j.use_case, j.webhook_url, j.webhook_endpoint, j.batch_id, j.response, `
	selectJobTail = `
		FROM jobs j
		LEFT JOIN queue q ON j.status = 'queued' AND q.id = j.execution_id
		LEFT JOIN releases r ON j.status = 'queued' AND r.execution_id = j.execution_id
		LEFT JOIN results res ON j.status IN ('succeeded', 'failed') AND res.execution_id = coalesce(j.answer_of, j.execution_id)`
)

func scanJob(row scanner) (jobs.Job, error) {
	var (
		j                                    jobs.Job
		deadline, created, started, finished int64
		ageMicros, visibleAt, dropped        int64
		cost                                 *int64
		metadata, answerOf, webhook, batch   []byte
		result                               []byte
		running                              bool
		waitingOn                            jobs.WaitingOn
		tokens                               usage
		failure                              jobs.JobError
	)
	err := row.Scan(&j.ID, &j.Tenant, &j.ExecutionID, &j.Status, &j.Endpoint, &j.Model, &j.Priority, &deadline, &created,
		&j.RequestHash, &j.Deduplicated, &j.Cached, &ageMicros, &cost, &metadata, &j.User, &finished,
		&j.Tries, &j.Provider, &started, &running, &visibleAt, &waitingOn,
		&tokens.input, &tokens.output, &tokens.cached, &tokens.reasoning, &failure.Code, &failure.Message, &answerOf, &j.Ephemeral, &dropped,
		&j.OnUnavailable, &j.Degraded, &j.UseCase, &j.Webhook.URL, &webhook, &batch, &j.Response,
		&result)
	if err != nil {
		return jobs.Job{}, err
	}
	j.Deadline, j.CreatedAt, j.StartedAt, j.FinishedAt = when(deadline), when(created), when(started), when(finished)
	j.Age, j.CostUSD, j.Usage = time.Duration(ageMicros)*time.Microsecond, amountOf(cost), tokens.tokens()
	if failure.Code != "" {
		j.Error = &failure
	}
	copy(j.AnswerOf[:], answerOf)
	copy(j.Webhook.Endpoint[:], webhook)
	copy(j.Batch[:], batch)
	if len(result) > 0 {
		j.Result = result
	}
	if dropped != 0 {
		j.Drop(when(dropped))
	}
	if err := readMetadata(metadata, &j); err != nil {
		return jobs.Job{}, err
	}
	if j.Status == jobs.StatusQueued {
		j.Status, j.WaitingOn = standing(running, when(visibleAt), waitingOn)
	}
	return j, nil
}

func readMetadata(metadata []byte, j *jobs.Job) error {
	if metadata == nil {
		return nil
	}
	if err := json.Unmarshal(metadata, &j.Metadata); err != nil {
		return fmt.Errorf("read metadata of job %s: %w", j.ID, err)
	}
	return nil
}

// standing tells where a live job stands.
func standing(running bool, visibleAt time.Time, on jobs.WaitingOn) (jobs.Status, jobs.WaitingOn) {
	if running {
		return jobs.StatusRunning, ""
	}
	if on != "" && visibleAt.After(time.Now()) {
		return jobs.StatusQueued, on
	}
	return jobs.StatusQueued, jobs.WaitingOnCapacity
}

// Request returns what the job's execution asks: see [jobs.ReadStore].
func (s *Store) Request(ctx context.Context, tenant string, jobID uuid.UUID) (jobs.Request, error) {
	return read(ctx, s, "read a request", func(ctx context.Context, q *statements) (jobs.Request, error) {
		var r jobs.Request
		var body []byte
		var dropped int64
		err := q.row(ctx, `
			SELECT r.endpoint, r.route, r.body, r.sample, r.cost, j.dropped_at
			FROM jobs j JOIN requests r ON r.execution_id = j.execution_id
			WHERE j.id = ? AND j.tenant = ?`, id(jobID), tenant).
			Scan(&r.Endpoint, &r.Route, &body, &r.Sample, &r.Cost, &dropped)
		if errors.Is(err, sql.ErrNoRows) {
			return jobs.Request{}, jobs.ErrNotFound
		}
		if err == nil && dropped != 0 {
			return jobs.Request{}, jobs.ErrDropped(when(dropped))
		}
		r.Body = body
		return r, err
	})
}
