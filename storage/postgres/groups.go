package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/group"
)

// groups coalesces the writes that many callers do at once, each kind by
// itself.
type groups struct {
	submit     *group.Group[jobs.Submission, jobs.Submitted]
	claim      *group.Group[jobs.Claim, jobs.Work]
	finish     *group.Group[jobs.Outcome, finished]
	reschedule *group.Group[jobs.Rescheduling, struct{}]
}

func (s *Store) newGroups(c Config) groups {
	config := group.Config{MaxBatch: c.BatchSize, Committers: c.Committers, Down: isDown, Blocked: isBlocked}
	return groups{
		submit:     group.New(config, s.submitAll),
		claim:      group.New(config, s.claimAll),
		finish:     group.New(config, s.finishAll),
		reschedule: group.New(config, s.rescheduleAll),
	}
}

// isDown reports whether an error of a batch would hit each member alike.
func isDown(err error) bool {
	return errors.Is(err, &jobs.Error{Code: jobs.CodeStoreUnavailable}) && !isBlocked(err)
}

// isBlocked reports whether a row that a batch wants was locked for longer than
// the store waits: whoever has it may have fallen silent. To the member that
// wants it, that is unavailability; the others can do without.
func isBlocked(err error) bool {
	said, ok := errors.AsType[*stateError](err)
	return ok && said.State == "55P03"
}

func (g groups) close() {
	g.submit.Close()
	g.claim.Close()
	g.finish.Close()
	g.reschedule.Close()
}

// do writes item with its group.
func do[T, R any](ctx context.Context, g *group.Group[T, R], item T) (R, error) {
	result, err := g.Do(ctx, item)
	if errors.Is(err, group.ErrClosed) {
		return result, jobs.Unavailable(err)
	}
	return result, err
}

// inRounds commits items with commit so that no two with the same key are in
// one transaction: the later ones see what the earlier ones did. commit gets
// the places of its items in the batch.
func inRounds[T any, K comparable](items []T, key func(T) K, commit func(which []int) error) error {
	rest := make([]int, len(items))
	for i := range rest {
		rest[i] = i
	}
	for len(rest) > 0 {
		var now []int
		now, rest = distinct(rest, func(i int) K { return key(items[i]) })
		if err := commit(now); err != nil {
			return err
		}
	}
	return nil
}

// lockExecutions queues the locking of those executions that live.
func lockExecutions(t *txn, ids []uuid.UUID) {
	t.exec(lockQuery, ids)
}

const lockQuery = `SELECT FROM queue WHERE id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE`
