package main

import (
	"errors"
	"testing"
)

func TestWhatFailedIsHandledWhenItComesAgain(t *testing.T) {
	t.Parallel()
	r := newRecent(2)
	failed, handled := errors.New("failed"), 0
	for i, want := range []error{failed, failed, nil, nil, nil} {
		err := r.once("a", func() error {
			handled++
			return want
		})
		if !errors.Is(err, want) {
			t.Errorf("time %d: got %v, want %v", i, err, want)
		}
	}
	if handled != 3 {
		t.Errorf("handled %d times, want twice in vain and once", handled)
	}
}
