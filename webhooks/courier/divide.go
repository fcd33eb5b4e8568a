package courier

import (
	"context"
	"errors"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// storeTimeout bounds one call of the store.
const storeTimeout = 10 * time.Second

// within asks the store something, and not for ever.
func within[R any](ctx context.Context, ask func(context.Context) (R, error)) (R, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return ask(ctx)
}

// away reports whether an error says that the store cannot be reached: that nothing is
// wrong with what it was asked.
func away(err error) bool {
	return errors.Is(err, &jobs.Error{Code: jobs.CodeStoreUnavailable}) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, context.Canceled)
}

// divide does something with all, and when that fails with halves of them, so that one
// that cannot be done keeps no other from it. It returns those that failed alone. The
// error is that of a store that is away, which says nothing of any.
func divide[T any](all []T, do func([]T) error) (failed []T, err error) {
	if len(all) == 0 {
		return nil, nil
	}
	switch err := do(all); {
	case err == nil:
		return nil, nil
	case away(err):
		return nil, err
	case len(all) == 1:
		return all, nil
	}
	for _, half := range [][]T{all[:len(all)/2], all[len(all)/2:]} {
		alone, err := divide(half, do)
		if err != nil {
			return nil, err
		}
		failed = append(failed, alone...)
	}
	return failed, nil
}
