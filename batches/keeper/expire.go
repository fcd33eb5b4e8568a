package keeper

import (
	"context"

	"github.com/penstock-dev/penstock/batches"
)

// expire ends what is pending of a batch whose deadline has passed. Its jobs have the same
// deadline, and end by themselves.
func (t *turn) expire(ctx context.Context) error {
	return t.endPending(ctx, batches.LineExpired, batches.CodeBatchExpired)
}
