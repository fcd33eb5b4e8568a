package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// answerStale turns those of ends that would have no answer, and that may take
// one of another execution (stale-if-error, RFC 5861), into successes with the
// newest that there is. It is a round trip only if there are any such. A result
// is locked so that it is not deleted before the job has it.
func answerStale(ctx context.Context, t *txn, ends []jobEnd) error {
	const query = `
		SELECT v.n, r.execution_id, r.finished_at, r.provider,
			r.input_tokens, r.output_tokens, r.cached_tokens, r.reasoning_tokens
		FROM unnest($1::text[], $2::text[], $3::timestamptz[]) WITH ORDINALITY AS v (hash, tenant, after, n)
		CROSS JOIN LATERAL (
			SELECT * FROM results r WHERE r.hash = v.hash AND r.tenant = v.tenant AND r.finished_at > v.after
				AND r.execution_id >= $4 AND ` + copyable + `
			ORDER BY r.finished_at DESC LIMIT 1 FOR KEY SHARE
		) r`
	var wanting []*jobEnd
	for i := range ends {
		if e := &ends[i]; e.staleAfter != nil && (e.status == jobs.StatusFailed || e.status == jobs.StatusExpired) {
			wanting = append(wanting, e)
		}
	}
	if len(wanting) == 0 {
		return nil
	}
	after := column(wanting, func(e *jobEnd) time.Time { return *e.staleAfter })
	t.each(func(rows pgx.Rows) error {
		var n int
		var execution uuid.UUID
		var finished time.Time
		var provider string
		var u usage
		if err := rows.Scan(append([]any{&n, &execution, &finished, &provider}, u.into()...)...); err != nil {
			return err
		}
		e := wanting[n-1]
		e.status, e.err, e.answer, e.answeredAt = jobs.StatusSucceeded, nil, execution, &finished
		e.provider, e.usage = provider, u
		return nil
	}, query,
		column(wanting, func(e *jobEnd) string { return e.hash }),
		column(wanting, func(e *jobEnd) string { return e.tenant }),
		after, oldestCopy(slices.MinFunc(after, time.Time.Compare)))
	return t.flush(ctx)
}
