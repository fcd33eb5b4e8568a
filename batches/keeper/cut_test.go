package keeper_test

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/batches/keeper"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// cutStore is a store as a process sees it that may be cut off from it.
type cutStore struct {
	keeper.Store

	cut *cut
}

// reached does something, unless c is cut off. Who is by the time it is done does not
// know that it was.
func reached[T any](c *cut, do func() (T, error)) (T, error) {
	var none T
	if c.is() {
		return none, errCut
	}
	got, err := do()
	if c.is() {
		return none, errCut
	}
	return got, err
}

func only(do func() error) func() (struct{}, error) {
	return func() (struct{}, error) { return struct{}{}, do() }
}

func (s cutStore) LeaseBatches(ctx context.Context, holder uuid.UUID, limit int) ([]batches.Batch, error) {
	return reached(s.cut, func() ([]batches.Batch, error) { return s.Store.LeaseBatches(ctx, holder, limit) })
}

func (s cutStore) RenewBatches(ctx context.Context, holder uuid.UUID, ids []uuid.UUID) ([]batches.Batch, error) {
	return reached(s.cut, func() ([]batches.Batch, error) { return s.Store.RenewBatches(ctx, holder, ids) })
}

func (s cutStore) ReleaseBatches(ctx context.Context, holder uuid.UUID, ids []uuid.UUID) error {
	_, err := reached(s.cut, only(func() error { return s.Store.ReleaseBatches(ctx, holder, ids) }))
	return err
}

func (s cutStore) AppendLines(ctx context.Context, holder, batch uuid.UUID, from, to batches.Cursor, lines []batches.Line) error {
	_, err := reached(s.cut, only(func() error { return s.Store.AppendLines(ctx, holder, batch, from, to, lines) }))
	return err
}

func (s cutStore) Lines(ctx context.Context, batch uuid.UUID, after, limit int) ([]batches.Line, error) {
	return reached(s.cut, func() ([]batches.Line, error) { return s.Store.Lines(ctx, batch, after, limit) })
}

func (s cutStore) BeginBatch(ctx context.Context, holder, batch uuid.UUID, at time.Time) (batches.Batch, error) {
	return reached(s.cut, func() (batches.Batch, error) { return s.Store.BeginBatch(ctx, holder, batch, at) })
}

func (s cutStore) RejectBatch(ctx context.Context, holder, batch uuid.UUID, problems []batches.Problem, count int, at time.Time, e *delivery.Event) error {
	_, err := reached(s.cut, only(func() error { return s.Store.RejectBatch(ctx, holder, batch, problems, count, at, e) }))
	return err
}

func (s cutStore) PendingLines(ctx context.Context, batch uuid.UUID, limit int) ([]batches.Line, error) {
	return reached(s.cut, func() ([]batches.Line, error) { return s.Store.PendingLines(ctx, batch, limit) })
}

func (s cutStore) StartLines(ctx context.Context, holder, batch uuid.UUID, started []batches.Started) error {
	_, err := reached(s.cut, only(func() error { return s.Store.StartLines(ctx, holder, batch, started) }))
	return err
}

func (s cutStore) LiveLines(ctx context.Context, batch uuid.UUID, after, limit int) ([]batches.Line, error) {
	return reached(s.cut, func() ([]batches.Line, error) { return s.Store.LiveLines(ctx, batch, after, limit) })
}

func (s cutStore) WithdrawLines(ctx context.Context, holder, batch uuid.UUID, ns []int) error {
	_, err := reached(s.cut, only(func() error { return s.Store.WithdrawLines(ctx, holder, batch, ns) }))
	return err
}

func (s cutStore) EndLines(ctx context.Context, holder, batch uuid.UUID, as batches.State, code string, only []int, limit int) (int, error) {
	return reached(s.cut, func() (int, error) { return s.Store.EndLines(ctx, holder, batch, as, code, only, limit) })
}

func (s cutStore) FinalizeBatch(ctx context.Context, holder, batch uuid.UUID, at time.Time) error {
	_, err := reached(s.cut, only(func() error { return s.Store.FinalizeBatch(ctx, holder, batch, at) }))
	return err
}

func (s cutStore) EndBatch(ctx context.Context, holder, batch uuid.UUID, as batches.Status, at time.Time, e *delivery.Event) error {
	_, err := reached(s.cut, only(func() error { return s.Store.EndBatch(ctx, holder, batch, as, at, e) }))
	return err
}

func (s cutStore) CollectLines(ctx context.Context, holder, batch uuid.UUID, rate float64, limit int) (b batches.Batch, n int, err error) {
	b, err = reached(s.cut, func() (batches.Batch, error) {
		var err error
		b, n, err = s.Store.CollectLines(ctx, holder, batch, rate, limit)
		return b, err
	})
	return b, n, err
}

// cutJobs are jobs as such a process sees them.
type cutJobs struct {
	keeper.Jobs

	cut *cut
}

func (j cutJobs) Submit(ctx context.Context, n jobs.NewJob) (jobs.Submitted, error) {
	return reached(j.cut, func() (jobs.Submitted, error) { return j.Jobs.Submit(ctx, n) })
}

func (j cutJobs) Cancel(ctx context.Context, tenant string, id uuid.UUID) (jobs.Job, error) {
	return reached(j.cut, func() (jobs.Job, error) { return j.Jobs.Cancel(ctx, tenant, id) })
}
