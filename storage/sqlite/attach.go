package sqlite

import (
	"context"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// live is an execution to attach to.
type live struct {
	id       uuid.UUID
	priority jobs.Priority
	// visibleAt is when it may be released, in microseconds.
	visibleAt int64
	released  bool
	claimed   bool
	// degraded says that it is released to a lesser target.
	degraded bool
}

// liveOf finds the live execution that the job may share.
func liveOf(ctx context.Context, t *statements, j jobs.Job) (live, bool, error) {
	var l live
	ok, err := found(t.row(ctx, `
		SELECT q.id, q.priority, q.visible_at, r.execution_id IS NOT NULL, r.worker IS NOT NULL,
			coalesce(r.degraded, 0)
		FROM queue q LEFT JOIN releases r ON r.execution_id = q.id
		WHERE q.dedupe_key = ? AND q.tenant = ?`,
		j.RequestHash, j.Tenant).Scan(&l.id, &l.priority, &l.visibleAt, &l.released, &l.claimed, &l.degraded))
	return l, ok, err
}

// attach makes the job one more of a live execution, which it may raise and
// prolong. A release that nobody has claimed is taken back when it is raised, to
// be made again in the higher queue, and when the job would not degrade as it does.
func attach(ctx context.Context, t *statements, sub jobs.Submission, l live) (jobs.Submitted, error) {
	j := sub.Job
	j.ExecutionID, j.Status, j.Deduplicated = l.id, jobs.StatusQueued, true
	if err := insertJob(ctx, t, j); err != nil {
		return jobs.Submitted{}, err
	}
	if err := insertDrop(ctx, t, j, j.Deadline); err != nil {
		return jobs.Submitted{}, err
	}
	if err := insertLive(ctx, t, j, sub); err != nil {
		return jobs.Submitted{}, err
	}
	_, err := t.exec(ctx, `
		UPDATE queue SET priority = min(priority, ?), deadline = min(deadline, ?), stop_at = max(stop_at, ?),
			no_store = max(no_store, ?), degradable = min(degradable, ?)
		WHERE id = ?`,
		int(j.Priority), micros(j.Deadline), micros(j.Deadline), sub.NoStore, sub.Degradable(), id(l.id))
	if err != nil {
		return jobs.Submitted{}, err
	}
	ready := j.Priority < l.priority
	if unlike := l.degraded && !sub.Degradable(); (ready || unlike) && l.released && !l.claimed {
		if err := takeBack(ctx, t, l.id); err != nil {
			return jobs.Submitted{}, err
		}
		ready, l.visibleAt = true, 0
	}
	if j, err = jobByID(ctx, t, j.Tenant, j.ID); err != nil {
		return jobs.Submitted{}, err
	}
	return jobs.Submitted{Job: j, Ready: ready && l.visibleAt <= micros(j.CreatedAt)}, nil
}

// takeBack ends a release and makes its execution ready again. Its fence stays:
// the next release takes the next.
func takeBack(ctx context.Context, t *statements, execution uuid.UUID) error {
	if _, err := t.exec(ctx, `DELETE FROM releases WHERE execution_id = ?`, id(execution)); err != nil {
		return err
	}
	_, err := t.exec(ctx, `UPDATE queue SET visible_at = 0, waiting_on = '' WHERE id = ?`, id(execution))
	return err
}
