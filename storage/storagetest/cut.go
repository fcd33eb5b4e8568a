package storagetest

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Cut is a store as a process sees it that may be cut off from it. Only what
// moves jobs along can be cut; reading by id cannot.
type Cut struct {
	jobs.Store
	// Before is asked before each call. An error is the answer, and nothing
	// happens.
	Before func() error
	// After, if set, is asked after each call that succeeded. An error is the
	// answer in place of the true one, which is lost: what was done is done.
	After func() error
}

func through[R any](c Cut, do func() (R, error)) (R, error) {
	var none R
	if err := c.Before(); err != nil {
		return none, err
	}
	r, err := do()
	if err != nil || c.After == nil {
		return r, err
	}
	if err := c.After(); err != nil {
		return none, err
	}
	return r, nil
}

func (c Cut) throughEmpty(do func() error) error {
	_, err := through(c, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

// Submit is that of [jobs.SubmitStore].
func (c Cut) Submit(ctx context.Context, s jobs.Submission) (jobs.Submitted, error) {
	return through(c, func() (jobs.Submitted, error) { return c.Store.Submit(ctx, s) })
}

// Cancel is that of [jobs.SubmitStore].
func (c Cut) Cancel(ctx context.Context, tenant string, id uuid.UUID, at time.Time) (jobs.Job, []jobs.Task, error) {
	var stopped []jobs.Task
	job, err := through(c, func() (job jobs.Job, err error) {
		job, stopped, err = c.Store.Cancel(ctx, tenant, id, at)
		return job, err
	})
	if err != nil {
		return jobs.Job{}, nil, err
	}
	return job, stopped, nil
}

// Routes is that of [jobs.DispatchStore].
func (c Cut) Routes(ctx context.Context) ([]jobs.Line, error) {
	return through(c, func() ([]jobs.Line, error) { return c.Store.Routes(ctx) })
}

// GiveUp is that of [jobs.DispatchStore].
func (c Cut) GiveUp(ctx context.Context, u jobs.Unserved) (jobs.GivenUp, error) {
	return through(c, func() (jobs.GivenUp, error) { return c.Store.GiveUp(ctx, u) })
}

// SetFlows is that of [jobs.DispatchStore].
func (c Cut) SetFlows(ctx context.Context, flows []jobs.Flow, until time.Time) error {
	return c.throughEmpty(func() error { return c.Store.SetFlows(ctx, flows, until) })
}

// Unpark is that of [jobs.DispatchStore].
func (c Cut) Unpark(ctx context.Context, now time.Time, limit int) (n int, next time.Time, err error) {
	n, err = through(c, func() (n int, err error) {
		n, next, err = c.Store.Unpark(ctx, now, limit)
		return n, err
	})
	if err != nil {
		return 0, time.Time{}, err
	}
	return n, next, nil
}

// Ready is that of [jobs.DispatchStore].
func (c Cut) Ready(ctx context.Context, q jobs.ReadyQuery) ([]jobs.Candidate, error) {
	return through(c, func() ([]jobs.Candidate, error) { return c.Store.Ready(ctx, q) })
}

// Outstanding is that of [jobs.DispatchStore].
func (c Cut) Outstanding(ctx context.Context) ([]jobs.Outstanding, error) {
	return through(c, func() ([]jobs.Outstanding, error) { return c.Store.Outstanding(ctx) })
}

// Release is that of [jobs.DispatchStore].
func (c Cut) Release(ctx context.Context, rs []jobs.Release, at time.Time) ([]jobs.Task, error) {
	return through(c, func() ([]jobs.Task, error) { return c.Store.Release(ctx, rs, at) })
}

// Lease is that of [jobs.DispatchStore].
func (c Cut) Lease(ctx context.Context, name string, holder uuid.UUID, ttl time.Duration) (bool, error) {
	return through(c, func() (bool, error) { return c.Store.Lease(ctx, name, holder, ttl) })
}

// Unlease is that of [jobs.DispatchStore].
func (c Cut) Unlease(ctx context.Context, name string, holder uuid.UUID) error {
	return c.throughEmpty(func() error { return c.Store.Unlease(ctx, name, holder) })
}

// Claim is that of [jobs.RunStore].
func (c Cut) Claim(ctx context.Context, claim jobs.Claim) (jobs.Work, error) {
	return through(c, func() (jobs.Work, error) { return c.Store.Claim(ctx, claim) })
}

// Disclaim is that of [jobs.RunStore].
func (c Cut) Disclaim(ctx context.Context, claim jobs.Claim) error {
	return c.throughEmpty(func() error { return c.Store.Disclaim(ctx, claim) })
}

// OpenCall is that of [jobs.RunStore].
func (c Cut) OpenCall(ctx context.Context, worker uuid.UUID, call jobs.Call) error {
	return c.throughEmpty(func() error { return c.Store.OpenCall(ctx, worker, call) })
}

// CloseCall is that of [jobs.RunStore].
func (c Cut) CloseCall(ctx context.Context, call jobs.Call) error {
	return c.throughEmpty(func() error { return c.Store.CloseCall(ctx, call) })
}

// Finish is that of [jobs.RunStore].
func (c Cut) Finish(ctx context.Context, o jobs.Outcome) ([]uuid.UUID, error) {
	return through(c, func() ([]uuid.UUID, error) { return c.Store.Finish(ctx, o) })
}

// Reschedule is that of [jobs.RunStore].
func (c Cut) Reschedule(ctx context.Context, r jobs.Rescheduling) error {
	return c.throughEmpty(func() error { return c.Store.Reschedule(ctx, r) })
}

// Beat is that of [jobs.RunStore].
func (c Cut) Beat(ctx context.Context, w jobs.Worker, running []jobs.Task) ([]jobs.Task, error) {
	return through(c, func() ([]jobs.Task, error) { return c.Store.Beat(ctx, w, running) })
}

// Retire is that of [jobs.RunStore].
func (c Cut) Retire(ctx context.Context, worker uuid.UUID) error {
	return c.throughEmpty(func() error { return c.Store.Retire(ctx, worker) })
}

// Workers is that of [jobs.ControlStore].
func (c Cut) Workers(ctx context.Context) ([]jobs.Worker, error) {
	return through(c, func() ([]jobs.Worker, error) { return c.Store.Workers(ctx) })
}

// Reclaim is that of [jobs.ControlStore].
func (c Cut) Reclaim(ctx context.Context, w jobs.Worker, at time.Time) (jobs.Reclaimed, error) {
	return through(c, func() (jobs.Reclaimed, error) { return c.Store.Reclaim(ctx, w, at) })
}

// Unclaimed is that of [jobs.ControlStore].
func (c Cut) Unclaimed(ctx context.Context, before time.Time, limit int) ([]jobs.Task, error) {
	return through(c, func() ([]jobs.Task, error) { return c.Store.Unclaimed(ctx, before, limit) })
}

// Requeue is that of [jobs.ControlStore].
func (c Cut) Requeue(ctx context.Context, tasks []jobs.Task) (int, error) {
	return through(c, func() (int, error) { return c.Store.Requeue(ctx, tasks) })
}

// Expire is that of [jobs.ControlStore].
func (c Cut) Expire(ctx context.Context, now time.Time, limit int) (jobs.Expired, error) {
	return through(c, func() (jobs.Expired, error) { return c.Store.Expire(ctx, now, limit) })
}

// Settle is that of [jobs.ControlStore].
func (c Cut) Settle(ctx context.Context) ([]uuid.UUID, error) {
	return through(c, func() ([]uuid.UUID, error) { return c.Store.Settle(ctx) })
}

// Retain is that of [jobs.ControlStore].
func (c Cut) Retain(ctx context.Context, r jobs.Retention, now time.Time) (int, error) {
	return through(c, func() (int, error) { return c.Store.Retain(ctx, r, now) })
}

// Maintain is that of [jobs.ControlStore].
func (c Cut) Maintain(ctx context.Context, now time.Time) error {
	return c.throughEmpty(func() error { return c.Store.Maintain(ctx, now) })
}

// Drop is that of [jobs.ControlStore].
func (c Cut) Drop(ctx context.Context, now time.Time, limit int) (int, error) {
	return through(c, func() (int, error) { return c.Store.Drop(ctx, now, limit) })
}
