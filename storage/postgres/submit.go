package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/group"
)

// errUnplaced says that what was found for a submission was gone before it could
// be had: an execution ended before a job could attach to it, or a job was deleted
// before it could be told of again. Nothing is kept.
var errUnplaced = errors.New("what was found for the job was gone before it could be had")

// maxPlacements bounds how often that may happen to one batch.
const maxPlacements = 20

// submission is one submission on its way through a batch.
type submission struct {
	jobs.Submission

	at int // its place in the batch
	// done is the answer as far as it is known; its job is read at the end when
	// reread is set.
	done   jobs.Submitted
	reread bool
	err    error
}

// Submit keeps sub: see [jobs.SubmitStore].
func (s *Store) Submit(ctx context.Context, sub jobs.Submission) (jobs.Submitted, error) {
	sub.Job.CreatedAt = sub.Job.CreatedAt.UTC().Truncate(time.Microsecond)
	sub.Job.Deadline = sub.Job.Deadline.UTC().Truncate(time.Microsecond)
	return do(ctx, s.groups.submit, sub)
}

// submitAll keeps what it can in one transaction. Of submissions under the same
// idempotency key only the first is in it; the others follow in another.
func (s *Store) submitAll(ctx context.Context, subs []jobs.Submission) ([]group.Result[jobs.Submitted], error) {
	results := make([]group.Result[jobs.Submitted], len(subs))
	err := inRounds(subs, submissionKey, func(which []int) error {
		return s.submitDistinct(ctx, subs, which, results)
	})
	return results, err
}

// submissionKey is equal for two submissions under the same idempotency key
// and for no others.
func submissionKey(sub jobs.Submission) [2]string {
	if sub.Idempotency == nil {
		return [2]string{sub.Job.ID.String()}
	}
	return [2]string{sub.Job.Tenant, sub.Idempotency.Key}
}

func (s *Store) submitDistinct(
	ctx context.Context, subs []jobs.Submission, which []int, results []group.Result[jobs.Submitted],
) error {
	var all []*submission
	err := errUnplaced
	for n := 0; n < maxPlacements && errors.Is(err, errUnplaced); n++ {
		err = s.write(ctx, "submit", func(ctx context.Context, t *txn) error {
			all = all[:0]
			for _, i := range which {
				all = append(all, &submission{Submission: subs[i], at: i})
			}
			return s.keep(ctx, t, all)
		})
	}
	if err != nil {
		return err
	}
	for _, m := range all {
		results[m.at] = group.Result[jobs.Submitted]{Value: m.done, Err: m.err}
	}
	return nil
}

// keep takes each submission through the steps until one decides.
func (s *Store) keep(ctx context.Context, t *txn, all []*submission) error {
	open, err := takeKeys(ctx, t, all)
	if err != nil {
		return err
	}
	if open, err = copyResults(ctx, t, open); err != nil {
		return err
	}
	places, err := place(ctx, t, open)
	if err != nil {
		return err
	}
	if err := insertPlaced(t, places); err != nil {
		return err
	}
	raise(t, places)
	return rereadJobs(ctx, t, all)
}

// rereadJobs fills in the jobs that are not told by what was submitted.
func rereadJobs(ctx context.Context, t *txn, all []*submission) error {
	byID := map[uuid.UUID]*submission{}
	for _, m := range all {
		if m.reread {
			byID[m.done.Job.ID] = m
		}
	}
	if len(byID) == 0 {
		return nil
	}
	viewJobs(t, idsOf(byID), func(j jobs.Job) { byID[j.ID].done.Job = j })
	if err := t.flush(ctx); err != nil {
		return err
	}
	for _, m := range byID {
		if m.done.Job.Tenant == "" { // a replay's, deleted since its key was read
			return jobs.Unavailable(errUnplaced)
		}
	}
	return nil
}
