package months

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/e2e/history"
	"github.com/penstock-dev/penstock/providers"
)

type scanner interface{ Scan(into ...any) error }

// query reads the store as it is, past the program.
func query[T any](f *fleet, scan func(row scanner) (T, error), text string, args ...any) []T {
	f.t.Helper()
	db, err := sql.Open("sqlite", "file:"+f.path+"?_pragma=query_only(1)&_pragma=busy_timeout(5000)")
	f.must(err)
	defer db.Close()
	rows, err := db.QueryContext(f.t.Context(), text, args...)
	f.must(err)
	defer rows.Close()
	var list []T
	for rows.Next() {
		item, err := scan(rows)
		f.must(err)
		list = append(list, item)
	}
	f.must(rows.Err())
	return list
}

func (f *fleet) count(text string, args ...any) int {
	f.t.Helper()
	return query(f, func(row scanner) (n int, err error) { return n, row.Scan(&n) }, text, args...)[0]
}

// history returns all that was seen, and what the store holds.
func (f *fleet) history() history.History {
	f.t.Helper()
	h := f.seen
	h.Provider = f.upstream.log
	h.Jobs = query(f, scanJob, `
		SELECT j.id, j.tenant, '', j.execution_id, j.hash, j.status,
			CASE j.status WHEN 'failed' THEN r.error_code ELSE j.error_code END, j.deduplicated, j.cached, j.tries,
			j.created_at, j.deadline, j.finished_at
		FROM jobs j LEFT JOIN results r ON r.execution_id = j.execution_id`)
	h.Events = query(f, func(row scanner) (e history.Event, err error) {
		var id uuid.UUID
		err = row.Scan(&id, &e.Tenant, &e.Type)
		e.Job = id.String()
		return e, err
	}, `SELECT job_id, tenant, type FROM events`)
	h.Executions = query(f, scanExecution, `
		SELECT q.execution_id, q.tenant, q.hash, coalesce(r.fence, 0), coalesce(r.status, ''), coalesce(r.error_code, ''), r.body,
			coalesce(r.tries, 0), coalesce(r.finished_at, 0)
		FROM requests q LEFT JOIN results r ON r.execution_id = q.execution_id`)
	h.Calls = query(f, func(row scanner) (c history.Call, err error) {
		var id uuid.UUID
		err = row.Scan(&id, &c.Fence, &c.Status, &c.Class)
		policy := providers.Class(c.Class).Policy()
		c.Execution, c.Try, c.Outage = id.String(), c.Class != "" && policy.Try, policy.Breaker && policy.Next == providers.RetryHere
		return c, err
	}, `SELECT execution_id, fence, coalesce(status, ''), coalesce(error_class, '') FROM calls`)
	h.Left = map[string]int{}
	for _, table := range []string{"queue", "releases", "live_jobs"} {
		h.Left[table] = f.count(`SELECT count(*) FROM ` + table)
	}
	return h
}

func scanJob(row scanner) (j history.Job, err error) {
	var id, execution uuid.UUID
	var created, deadline, finished int64
	err = row.Scan(&id, &j.Tenant, &j.Key, &execution, &j.Hash, &j.Status, &j.Error, &j.Deduplicated, &j.Cached,
		&j.Tries, &created, &deadline, &finished)
	j.ID, j.Execution = id.String(), execution.String()
	j.Created, j.Deadline, j.Finished = when(created), when(deadline), when(finished)
	return j, err
}

func scanExecution(row scanner) (e history.Execution, err error) {
	var id uuid.UUID
	var body []byte
	var finished int64
	err = row.Scan(&id, &e.Tenant, &e.Hash, &e.Fence, &e.Status, &e.Error, &body, &e.Tries, &finished)
	e.ID, e.Finished = id.String(), when(finished)
	if body != nil {
		e.Outcome = digest(body)
	}
	return e, err
}

// when is the time that a column tells of; zero when it tells of none.
func when(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:8])
}
