package postgres

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// Replay returns the job of a live idempotency record: see [jobs.SubmitStore].
func (s *Store) Replay(ctx context.Context, tenant string, i jobs.Idempotency, at time.Time) (jobs.Job, error) {
	const query = `SELECT fingerprint, job_id FROM idempotency WHERE key = $1 AND tenant = $2 AND created_at >= $3`
	if i.Renew {
		return jobs.Job{}, jobs.ErrNotFound
	}
	var fingerprint []byte
	var first uuid.UUID
	err := s.bounded(ctx, "look up an idempotency key", func(ctx context.Context) error {
		row := s.pool.QueryRow(ctx, query, i.Key, tenant, i.Since(at))
		return notFound(row.Scan(&fingerprint, &first))
	})
	if err != nil {
		return jobs.Job{}, err
	}
	job, err := s.Job(ctx, tenant, first)
	if err != nil {
		return jobs.Job{}, err
	}
	if !bytes.Equal(fingerprint, i.Fingerprint[:]) {
		return jobs.Job{}, jobs.ErrIdempotencyMismatch
	}
	return job, nil
}

// keyRecord is what an idempotency record says.
type keyRecord struct {
	// made says that this transaction made it.
	made        bool
	fingerprint []byte
	job         uuid.UUID
	createdAt   time.Time
	// alive says that the job is still there.
	alive bool
}

// takeKeys decides the submissions whose idempotency key was used before, and
// takes the keys of the others. It returns those that are not decided. No two
// of all have the same key.
func takeKeys(ctx context.Context, t *txn, all []*submission) (open []*submission, err error) {
	keyed := slices.DeleteFunc(slices.Clone(all), func(m *submission) bool { return m.Idempotency == nil })
	if len(keyed) == 0 {
		return all, nil
	}
	slices.SortFunc(keyed, func(a, b *submission) int {
		return cmp.Or(cmp.Compare(a.Idempotency.Key, b.Idempotency.Key), cmp.Compare(a.Job.Tenant, b.Job.Tenant))
	})
	records, err := readKeys(ctx, t, keyed)
	if err != nil {
		return nil, err
	}
	var lapsed []*submission
	for i, m := range keyed {
		if decideKey(m, records[i]) {
			lapsed = append(lapsed, m)
		}
	}
	if len(lapsed) > 0 {
		takeOverKeys(t, lapsed)
	}
	return slices.DeleteFunc(slices.Clone(all), func(m *submission) bool { return m.err != nil || m.done.Replayed }), nil
}

// decideKey answers m if its record counts, and reports whether the record is
// another's and does not.
func decideKey(m *submission, r keyRecord) (lapsed bool) {
	switch {
	case r.made:
		return false
	case m.Idempotency.Renew:
		return !r.createdAt.After(m.Job.CreatedAt)
	case !r.alive || r.createdAt.Before(m.Idempotency.Since(m.Job.CreatedAt)):
		return true
	case !bytes.Equal(r.fingerprint, m.Idempotency.Fingerprint[:]):
		m.err = jobs.ErrIdempotencyMismatch
		return false
	default:
		m.done = jobs.Submitted{Replayed: true, Job: jobs.Job{ID: r.job}}
		m.reread = true
		return false
	}
}

// readKeys makes the records that are missing and returns all, locked, in the
// order of keyed. The three statements are three snapshots: the second waits
// for whoever holds a record, the third sees what they left.
func readKeys(ctx context.Context, t *txn, keyed []*submission) ([]keyRecord, error) {
	const insert = `
		INSERT INTO idempotency (key, tenant, fingerprint, job_id, created_at)
		SELECT key, tenant, fingerprint, job_id, created_at
		FROM unnest($1::text[], $2::text[], $3::bytea[], $4::uuid[], $5::timestamptz[])
			WITH ORDINALITY AS k (key, tenant, fingerprint, job_id, created_at, n)
		ORDER BY n
		ON CONFLICT (key, tenant) DO NOTHING
		RETURNING key, tenant`
	const lock = `
		SELECT FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (key, tenant, n)
		JOIN idempotency i ON i.key = k.key AND i.tenant = k.tenant AND i.key = ANY ($1)
		ORDER BY n FOR UPDATE OF i`
	const read = `
		SELECT k.n, i.fingerprint, i.job_id, i.created_at,
			coalesce((SELECT true FROM jobs j WHERE j.id = i.job_id AND j.tenant = i.tenant), false)
		FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (key, tenant, n)
		JOIN idempotency i ON i.key = k.key AND i.tenant = k.tenant AND i.key = ANY ($1)`

	records := make([]keyRecord, len(keyed))
	made := map[[2]string]bool{}
	keys := column(keyed, func(m *submission) string { return m.Idempotency.Key })
	tenants := column(keyed, func(m *submission) string { return m.Job.Tenant })
	t.each(func(rows pgx.Rows) error {
		var key, tenant string
		err := rows.Scan(&key, &tenant)
		made[[2]string{tenant, key}] = true
		return err
	}, insert, keys, tenants,
		column(keyed, func(m *submission) []byte { return m.Idempotency.Fingerprint[:] }),
		column(keyed, func(m *submission) uuid.UUID { return m.Job.ID }),
		column(keyed, func(m *submission) time.Time { return m.Job.CreatedAt }))
	t.exec(lock, keys, tenants)
	t.each(func(rows pgx.Rows) error {
		var n int
		var r keyRecord
		if err := rows.Scan(&n, &r.fingerprint, &r.job, &r.createdAt, &r.alive); err != nil {
			return err
		}
		r.made = made[submissionKey(keyed[n-1].Submission)]
		records[n-1] = r
		return nil
	}, read, keys, tenants)
	return records, t.flush(ctx)
}

// takeOverKeys makes records that do not count any more those of new jobs.
func takeOverKeys(t *txn, lapsed []*submission) {
	const update = `
		UPDATE idempotency i SET fingerprint = k.fingerprint, job_id = k.job_id, created_at = k.created_at
		FROM unnest($1::text[], $2::text[], $3::bytea[], $4::uuid[], $5::timestamptz[])
			AS k (key, tenant, fingerprint, job_id, created_at)
		WHERE i.key = k.key AND i.tenant = k.tenant AND i.key = ANY ($1)`
	t.exec(update,
		column(lapsed, func(m *submission) string { return m.Idempotency.Key }),
		column(lapsed, func(m *submission) string { return m.Job.Tenant }),
		column(lapsed, func(m *submission) []byte { return m.Idempotency.Fingerprint[:] }),
		column(lapsed, func(m *submission) uuid.UUID { return m.Job.ID }),
		column(lapsed, func(m *submission) time.Time { return m.Job.CreatedAt }))
}
