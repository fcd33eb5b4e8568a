package surface

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Jobs is what it takes to wait for an answer: [jobs.Service] has it.
type Jobs interface {
	Submit(ctx context.Context, n jobs.NewJob) (jobs.Submitted, error)
	Wait(ctx context.Context, tenant string, id uuid.UUID, atMost time.Duration) (jobs.Job, error)
}

// SyncKey begins the idempotency keys of what SDKs may repeat by themselves. A caller's
// own key has no space.
const SyncKey = "penstock sync "

// Shared is how old the submission may be that the retry of an SDK repeats.
const Shared = 10 * time.Minute

// IsRetry reports whether an SDK has sent the request before.
func IsRetry(r *http.Request) bool {
	n, err := strconv.Atoi(r.Header.Get("X-Stainless-Retry-Count"))
	return err == nil && n > 0
}

// Submit makes the job that a request asks for, of which n has the Fingerprint, or finds
// the one that it repeats: who asks twice wants two answers, and only an SDK's own retry
// wants the answer that its first try was to have. The latest submission is the one that
// a retry repeats. The answer and the log have the job's id. ctx is of the request's.
func Submit(ctx context.Context, w http.ResponseWriter, r *http.Request, to Jobs, n jobs.NewJob) (jobs.Job, error) {
	n.NoDedupe, n.Within, n.Renew = true, Shared, !IsRetry(r)
	n.IdempotencyKey = SyncKey + n.Endpoint + " " + hex.EncodeToString(n.Fingerprint[:])
	done, err := to.Submit(ctx, n)
	if err == nil && done.Replayed && !serves(done.Job) {
		n.Renew = true
		done, err = to.Submit(ctx, n)
	}
	if err != nil {
		return jobs.Job{}, err
	}
	CallerOf(ctx).Job = done.Job.ID
	w.Header().Set("Penstock-Job", done.Job.ID.String())
	return done.Job, nil
}

// serves reports whether a retry can have the answer of the job.
func serves(job jobs.Job) bool {
	return !job.Status.Terminal() || job.Status == jobs.StatusSucceeded && len(job.Result) > 0
}

// late is how long after its deadline a job has ended at the latest, if the store is
// there.
const late = 15 * time.Second

// Await returns the job once it has ended. ctx is that of the place to wait which the
// request has. The client may leave meanwhile, and the process stop: the job goes on, for
// the client's retry.
func Await(ctx context.Context, r *http.Request, in Jobs, job jobs.Job) (jobs.Job, error) {
	if job.Status.Terminal() {
		return job, nil
	}
	job, err := in.Wait(ctx, job.Tenant, job.ID, time.Until(job.Deadline)+late)
	switch {
	case err != nil || job.Status.Terminal():
		return job, err
	case ctx.Err() == nil:
		return job, jobs.Unavailable(context.DeadlineExceeded)
	case Left(r):
		return job, context.Canceled
	default:
		return job, ErrStopping
	}
}

// Left reports whether the client has closed its connection.
func Left(r *http.Request) bool { return errors.Is(r.Context().Err(), context.Canceled) }

// ErrStopping is answered by a process that stops: the client's retry finds the job by
// way of another.
var ErrStopping = &jobs.Error{Code: CodeStopping, Message: "this process is about to stop; repeat the request"}
