package jobs

import (
	"context"
	"fmt"
	"time"
)

const (
	// EphemeralHold is how long the answer of an ephemeral job waits to be
	// delivered.
	EphemeralHold = time.Hour
	// DeliveredHold is how long it is kept when it was delivered: a caller who
	// lost it on the way can ask again.
	DeliveredHold = time.Minute
)

// Drop makes j what an ephemeral job is after its data was dropped. Stores call
// it.
func (j *Job) Drop(at time.Time) {
	why := ErrDropped(at).Message
	j.DroppedAt, j.Result = at, nil
	if j.Error == nil {
		j.Error = &JobError{Code: CodeDropped}
	}
	j.Error.Message = why
}

// ErrDropped answers for data of an ephemeral job that was dropped.
func ErrDropped(at time.Time) *Error {
	return &Error{Code: CodeDropped, Message: fmt.Sprintf(
		"request and answer were dropped at %s, as store: false asks", at.UTC().Format(time.RFC3339))}
}

// Delivered notes that the caller has been given the job's answer. It matters
// for an ephemeral job alone.
func (s *Service) Delivered(ctx context.Context, job Job) error {
	if !job.Ephemeral || !job.Status.Terminal() || !job.DroppedAt.IsZero() {
		return nil
	}
	return s.store.Delivered(ctx, job.Tenant, job.ID, now())
}
