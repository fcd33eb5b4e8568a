package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// submit is POST /v1/jobs: decode, keep, and with Prefer: wait=N stay to see
// the job end.
func (a *API) submit(x *exchange) error {
	x.header().Set("Vary", "Prefer")
	done, err := a.keep(x)
	if err != nil {
		return err
	}
	if done.Replayed {
		x.header().Set("Idempotent-Replayed", "true")
	}
	wait := preferredWait(x.Request().Header)
	if wait == 0 {
		return a.writeAccepted(x, done.Job)
	}
	x.header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
	job := a.seeEnd(x, done.Job, wait)
	if !job.Status.Terminal() {
		return a.writeAccepted(x, job)
	}
	x.accept(job)
	return a.writeJob(x, http.StatusOK, job)
}

// keep reads the job and submits it. Its body counts against all others until
// it is in the store.
func (a *API) keep(x *exchange) (jobs.Submitted, error) {
	body := &share{of: &a.bodies}
	defer body.giveBack()
	n, err := a.readJob(x, body)
	if err != nil {
		return jobs.Submitted{}, err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	return a.cfg.Service.Submit(ctx, n)
}

// readJob reads all that the request says about the job.
func (a *API) readJob(x *exchange, counted *share) (jobs.NewJob, error) {
	if err := noQuery(x); err != nil {
		return jobs.NewJob{}, err
	}
	key, err := idempotencyKey(x.Request().Header)
	if err != nil {
		return jobs.NewJob{}, err
	}
	body, err := a.readJSON(x, counted)
	if err != nil {
		return jobs.NewJob{}, err
	}
	n, err := decodeJob(body)
	if err != nil {
		return jobs.NewJob{}, err
	}
	n.Tenant, n.IdempotencyKey = x.tenant, key
	return n, nil
}

// seeEnd returns the job as it is once it has ended, or after the wait. The job
// is kept already: when it cannot be looked at, what is known of it will do.
func (a *API) seeEnd(x *exchange, job jobs.Job, wait time.Duration) jobs.Job {
	if job.Status.Terminal() {
		return job
	}
	later, err := a.await(x, job.ID, wait)
	if err != nil {
		x.failure = err
		return job
	}
	return later
}

// writeAccepted answers 202 with a job that was taken in and says when to look
// at it again.
func (a *API) writeAccepted(x *exchange, job jobs.Job) error {
	x.accept(job)
	again := "1"
	if job.Status.Terminal() {
		again = "0"
	}
	x.header().Set("Retry-After", again)
	return a.writeJob(x, http.StatusAccepted, job)
}

func (a *API) writeJob(x *exchange, status int, job jobs.Job) error {
	if err := writeJSON(x, status, encodeJob(job)); err != nil {
		return err
	}
	a.delivered(x.Request().Context(), job)
	return nil
}

// accept says where the job is.
func (x *exchange) accept(job jobs.Job) {
	x.job = job.ID
	x.header().Set("Location", "/v1/jobs/"+job.ID.String())
}

// await returns the job once it has ended, or as it is after the wait. It does
// so at once when too many wait, or when the API is about to stop.
func (a *API) await(x *exchange, id uuid.UUID, wait time.Duration) (jobs.Job, error) {
	if wait > 0 {
		if ctx, leave, ok := a.waiters.enter(x.Request().Context()); ok {
			defer leave()
			return a.cfg.Service.Wait(ctx, x.tenant, id, wait)
		}
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	return a.cfg.Service.Job(ctx, x.tenant, id)
}
