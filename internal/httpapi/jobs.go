package httpapi

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// get is GET /v1/jobs/{id}, with ?wait= once the job has ended.
func (a *API) get(x *exchange) error {
	id, err := x.jobID()
	if err != nil {
		return err
	}
	wait, err := waitQuery(x)
	if err != nil {
		return err
	}
	job, err := a.await(x, id, wait)
	if err != nil {
		return err
	}
	if err := writeTagged(x, encodeJob(job)); err != nil {
		return err
	}
	a.delivered(x.Request().Context(), job)
	return nil
}

// delivered notes that a caller has been told of a job. If that fails, the job is
// held as if nobody had been told.
func (a *API) delivered(ctx context.Context, job jobs.Job) {
	if !job.Ephemeral || !job.Status.Terminal() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.StoreTimeout)
	defer cancel()
	if err := a.cfg.Service.Delivered(ctx, job); err != nil {
		a.cfg.Log.Warn().Stringer("job", job.ID).Err(err).Msg("note a delivery")
	}
}

// list is GET /v1/jobs.
func (a *API) list(x *exchange) error {
	q, err := jobQuery(x)
	if err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	page, more, err := a.cfg.Service.List(ctx, q)
	if err != nil {
		return err
	}
	answer := listJSON[jobJSON]{Data: make([]jobJSON, len(page)), HasMore: more}
	for i, job := range page {
		answer.Data[i] = encodeJob(job)
	}
	if more && len(page) > 0 {
		cursor := encodeCursor(page[len(page)-1].ID)
		answer.NextCursor = &cursor
	}
	return writeJSON(x, http.StatusOK, answer)
}

// cancel is POST /v1/jobs/{id}/cancel. A job that has ended is answered as it
// ended.
func (a *API) cancel(x *exchange) error {
	id, err := a.plain(x)
	if err != nil {
		return err
	}
	ctx, stop := a.storeContext(x)
	defer stop()
	job, err := a.cfg.Service.Cancel(ctx, x.tenant, id)
	if err != nil {
		return err
	}
	return a.writeJob(x, http.StatusAccepted, job)
}

// retry is POST /v1/jobs/{id}/retry: a new job.
func (a *API) retry(x *exchange) error {
	id, err := a.plain(x)
	if err != nil {
		return err
	}
	if err := noIdempotencyKey(x.Request().Header); err != nil {
		return err
	}
	ctx, stop := a.storeContext(x)
	defer stop()
	done, err := a.cfg.Service.Retry(ctx, x.tenant, id)
	if err != nil {
		return err
	}
	return a.writeAccepted(x, done.Job)
}

// delete is DELETE /v1/jobs/{id}.
func (a *API) delete(x *exchange) error {
	id, err := a.plain(x)
	if err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	if err := a.cfg.Service.Delete(ctx, x.tenant, id); err != nil {
		return err
	}
	return x.NoContent(http.StatusNoContent)
}

// calls is GET /v1/jobs/{id}/calls.
func (a *API) calls(x *exchange) error {
	id, err := x.jobID()
	if err != nil {
		return err
	}
	if err := noQuery(x); err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	calls, err := a.cfg.Service.Calls(ctx, x.tenant, id)
	if err != nil {
		return err
	}
	answer := listJSON[callJSON]{Data: make([]callJSON, len(calls))}
	for i, call := range calls {
		answer.Data[i] = encodeCall(call)
	}
	return writeJSON(x, http.StatusOK, answer)
}

// plain returns the job's id of a request that says nothing else.
func (a *API) plain(x *exchange) (uuid.UUID, error) {
	id, err := x.jobID()
	if err != nil {
		return uuid.Nil, err
	}
	if err := noQuery(x); err != nil {
		return uuid.Nil, err
	}
	return id, a.readNothing(x)
}

// jobID returns the id in the path. What is no id is the id of no job.
func (x *exchange) jobID() (id uuid.UUID, err error) {
	id, err = x.pathID()
	x.job = id
	return id, err
}

// pathID returns the id in the path. What is no id is the id of nothing.
func (x *exchange) pathID() (uuid.UUID, error) {
	text := x.Param("id")
	id, err := uuid.Parse(text)
	if err != nil || len(text) != len(uuid.Nil.String()) {
		return uuid.Nil, jobs.ErrNotFound
	}
	return id, nil
}
