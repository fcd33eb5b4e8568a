package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// jobColumns and jobTables tell a job as it is: how a live one stands is read
// off its execution. A scan of them is scanJob.
const (
	jobColumns = `
		j.id, j.tenant, j.execution_id, j.status, j.endpoint, j.model, j.priority, j.deadline, j.created_at,
		j.started_at, j.finished_at, j.hash, j.deduplicated, j.cached, j.age_us, j.tries, j.provider,
		j.input_tokens, j.output_tokens, j.cached_tokens, j.reasoning_tokens, (j.cost_usd * 1000000000)::bigint,
		j.metadata, j.end_user, j.error_code, j.error_message,
		j.answer_of, j.ephemeral, j.dropped_at, j.on_unavailable, j.degraded, j.use_case,
		j.webhook_url, j.webhook_endpoint, j.batch_id, j.response,
		r.worker IS NOT NULL OR q.settling, q.visible_at < 'infinity' AND q.visible_at > $1, q.waiting_on,
		q.tries, q.provider, q.started_at`
	jobTables = `
		LEFT JOIN LATERAL (
			SELECT * FROM queue q WHERE q.id = CASE WHEN j.status = 'queued' THEN j.execution_id END OFFSET 0
		) q ON true
		LEFT JOIN LATERAL (SELECT r.worker FROM releases r WHERE r.execution_id = q.id OFFSET 0) r ON true`
	resultTable = `
		LEFT JOIN LATERAL (
			SELECT r.body FROM results r
			WHERE r.execution_id = CASE WHEN j.status = 'succeeded' AND j.dropped_at IS NULL
				THEN coalesce(j.answer_of, j.execution_id) END
			OFFSET 0
		) res ON true`
)

const selectJob = `SELECT ` + jobColumns + `, res.body FROM jobs j` + jobTables + resultTable + `
	WHERE j.id = $2 AND j.tenant = $3`

// Job returns the job or [jobs.ErrNotFound].
func (s *Store) Job(ctx context.Context, tenant string, id uuid.UUID) (job jobs.Job, err error) {
	err = s.bounded(ctx, "read a job", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, selectJob, time.Now(), id, tenant)
		if err != nil {
			return err
		}
		job, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (jobs.Job, error) {
			return scanJob(row, true)
		})
		return notFound(err)
	})
	return job, err
}

// Standings tells how jobs stand: see [jobs.ReadStore].
func (s *Store) Standings(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]jobs.Standing, error) {
	const query = `
		SELECT j.id, j.status, r.worker IS NOT NULL OR q.settling, q.visible_at < 'infinity' AND q.visible_at > $2,
			q.waiting_on
		FROM unnest($1::uuid[]) AS k (id)
		CROSS JOIN LATERAL (SELECT j.id, j.status, j.execution_id FROM jobs j WHERE j.id = k.id OFFSET 0) j` + jobTables
	standings := make(map[uuid.UUID]jobs.Standing, len(ids))
	err := s.bounded(ctx, "see how jobs stand", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, query, ids, time.Now())
		if err != nil {
			return err
		}
		var j jobs.Job
		var l liveState
		_, err = pgx.ForEachRow(rows, []any{&j.ID, &j.Status, &l.running, &l.waiting, &l.waitingOn}, func() error {
			j.WaitingOn = ""
			if !j.Status.Terminal() {
				l.fill(&j)
			}
			standings[j.ID] = jobs.Standing{Status: j.Status, WaitingOn: j.WaitingOn}
			return nil
		})
		return err
	})
	return standings, err
}

// notFound turns the absence of a row into [jobs.ErrNotFound].
func notFound(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return jobs.ErrNotFound
	}
	return err
}

const selectJobs = `SELECT ` + jobColumns + `, res.body FROM unnest($2::uuid[]) AS k (id)
	CROSS JOIN LATERAL (SELECT * FROM jobs j WHERE j.id = k.id OFFSET 0) j` + jobTables + resultTable

// viewJobs queues the reading of jobs of any tenant: the caller knows that they
// are its own.
func viewJobs(t *txn, ids []uuid.UUID, tell func(j jobs.Job)) {
	t.each(func(rows pgx.Rows) error {
		j, err := scanJob(rows, true)
		if err == nil {
			tell(j)
		}
		return err
	}, selectJobs, time.Now(), ids)
}

// scanJob reads a row of jobColumns, and of the result's body if there is one.
func scanJob(row pgx.CollectableRow, withResult bool) (jobs.Job, error) {
	var (
		j                 jobs.Job
		l                 liveState
		started, finished *time.Time
		ageMicroseconds   int64
		u                 usage
		cost              *int64
		metadata          []byte
		code, message     *string
		answerOf          *uuid.UUID
		dropped           *time.Time
		webhookURL        *string
		webhookEndpoint   *uuid.UUID
		batch             *uuid.UUID
		result            []byte
	)
	into := []any{
		&j.ID, &j.Tenant, &j.ExecutionID, &j.Status, &j.Endpoint, &j.Model, &j.Priority, &j.Deadline, &j.CreatedAt,
		&started, &finished, &j.RequestHash, &j.Deduplicated, &j.Cached, &ageMicroseconds, &j.Tries, &j.Provider,
		&u.input, &u.output, &u.cached, &u.reasoning, &cost, &metadata, &j.User, &code, &message,
		&answerOf, &j.Ephemeral, &dropped, &j.OnUnavailable, &j.Degraded, &j.UseCase,
		&webhookURL, &webhookEndpoint, &batch, &j.Response,
		&l.running, &l.waiting, &l.waitingOn, &l.tries, &l.provider, &l.startedAt,
	}
	if withResult {
		into = append(into, &result)
	}
	if err := row.Scan(into...); err != nil {
		return jobs.Job{}, err
	}
	j.Age = time.Duration(ageMicroseconds) * time.Microsecond
	j.StartedAt, j.FinishedAt = orZero(started), orZero(finished)
	j.AnswerOf, j.Batch = orZero(answerOf), orZero(batch)
	j.Webhook = jobs.Webhook{URL: orZero(webhookURL), Endpoint: orZero(webhookEndpoint)}
	j.CostUSD, j.Result = usdOf(cost), json.RawMessage(result)
	u.fill(&j)
	if code != nil {
		j.Error = &jobs.JobError{Code: *code, Message: orZero(message)}
	}
	if dropped != nil {
		j.Drop(*dropped)
	}
	if metadata != nil {
		if err := json.Unmarshal(metadata, &j.Metadata); err != nil {
			return jobs.Job{}, errors.New("a job's metadata is not JSON")
		}
	}
	if !j.Status.Terminal() {
		l.fill(&j)
	}
	return j, nil
}

// liveState is what a live job's execution tells of it. All is nil when the
// execution is gone.
type liveState struct {
	running, waiting    *bool
	waitingOn, provider *string
	tries               *int
	startedAt           *time.Time
}

func (l liveState) fill(j *jobs.Job) {
	j.Tries, j.Provider = orZero(l.tries), orZero(l.provider)
	if l.startedAt != nil {
		j.StartedAt = maxTime(*l.startedAt, j.CreatedAt)
	}
	switch {
	case orZero(l.running):
		j.Status = jobs.StatusRunning
	case orZero(l.waiting):
		j.WaitingOn = jobs.WaitingOn(orZero(l.waitingOn))
	default:
		j.WaitingOn = jobs.WaitingOnCapacity
	}
}

// Request returns the body the job was submitted with.
func (s *Store) Request(ctx context.Context, tenant string, id uuid.UUID) (r jobs.Request, err error) {
	const query = `
		SELECT r.endpoint, r.route, r.body, r.sample, r.cost, j.dropped_at
		FROM (SELECT j.execution_id, j.dropped_at FROM jobs j WHERE j.id = $1 AND j.tenant = $2 OFFSET 0) j
		CROSS JOIN LATERAL (SELECT * FROM requests r WHERE r.execution_id = j.execution_id OFFSET 0) r`
	err = s.bounded(ctx, "read a request", func(ctx context.Context) error {
		var body []byte
		row := s.pool.QueryRow(ctx, query, id, tenant)
		var dropped *time.Time
		err := row.Scan(&r.Endpoint, &r.Route, &body, &r.Sample, &r.Cost, &dropped)
		if dropped != nil {
			return jobs.ErrDropped(*dropped)
		}
		r.Body = body
		return notFound(err)
	})
	if err != nil {
		return jobs.Request{}, err
	}
	return r, nil
}

// jobExists fails with [jobs.ErrNotFound] unless the tenant has the job.
func (s *Store) jobExists(ctx context.Context, tenant string, id uuid.UUID) error {
	var one int
	err := s.pool.QueryRow(ctx, `SELECT 1 FROM jobs WHERE id = $1 AND tenant = $2`, id, tenant).Scan(&one)
	return notFound(err)
}

// Events lists the events of a job, oldest first.
func (s *Store) Events(ctx context.Context, tenant string, id uuid.UUID) (events []jobs.Event, err error) {
	const query = `
		SELECT id, tenant, job_id, type, created_at FROM events WHERE job_id = $1 AND tenant = $2 ORDER BY id`
	err = s.bounded(ctx, "list events", func(ctx context.Context) error {
		if err := s.jobExists(ctx, tenant, id); err != nil {
			return err
		}
		rows, err := s.pool.Query(ctx, query, id, tenant)
		if err != nil {
			return err
		}
		events, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e jobs.Event, err error) {
			err = row.Scan(&e.ID, &e.Tenant, &e.Job, &e.Type, &e.CreatedAt)
			return e, err
		})
		return err
	})
	return events, err
}
