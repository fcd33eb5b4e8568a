package queue

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// When a pause is over, one tries for all: the others would only wait, one
// after another, for a Redis that still does not answer.
func TestOneTriesWhenThePauseIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := pause{start: time.Now()}
		time.Sleep(time.Second)
		errAway, tried := errors.New("connection refused"), 0
		try := func() {
			for range 10 {
				_ = p.try(t.Context(), func(context.Context) error {
					tried++
					if p.mayTry() {
						t.Error("another may try while one does")
					}
					return errAway
				})
			}
		}
		_ = p.try(t.Context(), func(context.Context) error { return errAway })
		for range 5 {
			time.Sleep(sendPause)
			try()
		}
		if tried != 5 {
			t.Errorf("tried %d times in 5 pauses of 10 callers, want 5", tried)
		}
	})
}
