package batches

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Service is what the API does with batches. Its errors are *[jobs.Error] or those of the
// store. It is safe for use by many goroutines.
type Service struct {
	store   BatchStore
	signals jobs.Signals
	policy  func(jobs.NewJob) error
}

// NewService returns a service over a store. policy says what is wrong with the policy of
// a batch as that of a job: [jobs.Service.CheckPolicy].
func NewService(store BatchStore, signals jobs.Signals, policy func(jobs.NewJob) error) *Service {
	return &Service{store: store, signals: signals, policy: policy}
}

// Batch returns a tenant's.
func (s *Service) Batch(ctx context.Context, tenant string, id uuid.UUID) (Batch, error) {
	b, err := s.store.Batch(ctx, tenant, id)
	return b, inWords(err)
}

// List returns up to q.Limit of the tenant's, newest first, and whether there are more in
// the direction asked for.
func (s *Service) List(ctx context.Context, q Query) (page []Batch, more bool, err error) {
	limit := q.Limit
	q.Limit++
	page, err = s.store.Batches(ctx, q)
	switch {
	case err != nil:
		return nil, false, err
	case len(page) <= limit:
		return page, false, nil
	case q.After != uuid.Nil: // what is farthest from it comes first
		return page[len(page)-limit:], true, nil
	default:
		return page[:limit], true, nil
	}
}

// Pause has no line of the batch begun any more; what is under way goes on. One that has
// ended is a conflict.
func (s *Service) Pause(ctx context.Context, tenant string, id uuid.UUID) (Batch, error) {
	return s.changed(ctx)(s.store.PauseBatch(ctx, tenant, id, true))
}

// Resume undoes [Service.Pause].
func (s *Service) Resume(ctx context.Context, tenant string, id uuid.UUID) (Batch, error) {
	return s.changed(ctx)(s.store.PauseBatch(ctx, tenant, id, false))
}

// Cancel has no line begun any more and ends those that have not: the batch is cancelling,
// and soon cancelled. One that has ended is returned as it is.
func (s *Service) Cancel(ctx context.Context, tenant string, id uuid.UUID) (Batch, error) {
	return s.changed(ctx)(s.store.CancelBatch(ctx, tenant, id, now()))
}

// Retry has the lines run again that have ended without an answer, of a batch that has
// ended, within as much time as there was at first. It returns how many they are; if there
// are none nothing is changed.
func (s *Service) Retry(ctx context.Context, tenant string, id uuid.UUID) (Batch, int, error) {
	b, err := s.store.Batch(ctx, tenant, id)
	if err != nil {
		return Batch{}, 0, inWords(err)
	}
	at := now()
	b, n, err := s.store.RetryBatch(ctx, tenant, id, at, at.Add(b.within()))
	if err != nil {
		return Batch{}, 0, inWords(err)
	}
	s.wake(ctx, id)
	return b, n, nil
}

// Delete removes a batch that has ended, and the files of its answers; its jobs stay.
func (s *Service) Delete(ctx context.Context, tenant string, id uuid.UUID) error {
	return inWords(s.store.DeleteBatch(ctx, tenant, id))
}

// maxCauses is how many groups of failures are told of.
const maxCauses = 20

// Causes groups the lines of a batch that have ended without an answer, the most frequent
// first.
func (s *Service) Causes(ctx context.Context, tenant string, id uuid.UUID) ([]Cause, error) {
	causes, err := s.store.Causes(ctx, tenant, id, maxCauses)
	return causes, inWords(err)
}

// answersAtOnce is how many answers are read at a time where the query does not say.
const answersAtOnce = 64

// Answers lists all lines that q selects, each once, and ends with those that have ended
// by then. q.Limit is how many are read at a time; zero: 64. After an error there is
// nothing more.
func (s *Service) Answers(ctx context.Context, q AnswerQuery) iter.Seq2[Answer, error] {
	if q.Limit == 0 {
		q.Limit = answersAtOnce
	}
	return func(yield func(Answer, error) bool) {
		for {
			page, err := s.store.Answers(ctx, q)
			if err != nil {
				yield(Answer{}, inWords(err))
				return
			}
			for _, a := range page {
				if !yield(a, nil) {
					return
				}
				if q.After = int64(a.N); q.AsFinished {
					q.After = a.Seq
				}
			}
			if len(page) < q.Limit {
				return
			}
		}
	}
}

// changed tells keepers of a batch that was changed.
func (s *Service) changed(ctx context.Context) func(Batch, error) (Batch, error) {
	return func(b Batch, err error) (Batch, error) {
		if err != nil {
			return Batch{}, inWords(err)
		}
		s.wake(ctx, b.ID)
		return b, nil
	}
}

// wake tells keepers of a batch. A signal that is lost costs a look.
func (s *Service) wake(ctx context.Context, id uuid.UUID) {
	_ = s.signals.Send(ctx, jobs.Signal{Kind: jobs.SignalBatches, Batches: []uuid.UUID{id}})
}

// inWords puts what a store answers into words for a client.
func inWords(err error) error {
	if errors.Is(err, jobs.ErrNotFound) {
		return &jobs.Error{Code: jobs.CodeNotFound, Message: "no such batch"}
	}
	return err
}

// now is the time as stores keep it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
