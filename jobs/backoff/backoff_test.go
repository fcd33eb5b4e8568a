package backoff_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs/backoff"
)

func ExamplePolicy_Ceiling() {
	p := backoff.Policy{Base: time.Second, Cap: time.Minute}
	for n := range 8 {
		fmt.Print(p.Ceiling(n), " ")
	}
	// Output: 1s 2s 4s 8s 16s 32s 1m0s 1m0s
}

func TestCeilingNeverOverflows(t *testing.T) {
	t.Parallel()
	for _, p := range []backoff.Policy{
		{Base: time.Second, Cap: time.Minute},
		{Base: time.Nanosecond, Cap: math.MaxInt64},
		{Base: time.Minute, Cap: time.Second},
		{},
	} {
		for _, n := range []int{-1, 0, 1, 62, 63, 64, 10_000} {
			if d := p.Ceiling(n); d < 0 || d > p.Cap {
				t.Errorf("%+v.Ceiling(%d) = %v, want it in [0, Cap]", p, n, d)
			}
		}
	}
}

func TestJitterStaysInItsBounds(t *testing.T) {
	t.Parallel()
	p := backoff.Policy{Base: time.Second, Cap: time.Minute}
	var lowest, highest time.Duration = math.MaxInt64, 0
	for range 20_000 {
		d := p.Full(3)
		if d < 0 || d > 8*time.Second {
			t.Fatalf("Full(3) = %v, want it in [0, 8s]", d)
		}
		lowest, highest = min(lowest, d), max(highest, d)
		if d := p.Equal(3); d < 4*time.Second || d > 8*time.Second {
			t.Fatalf("Equal(3) = %v, want it in [4s, 8s]", d)
		}
	}
	if lowest > 100*time.Millisecond || highest < 7900*time.Millisecond {
		t.Errorf("Full(3) ranged over [%v, %v], want nearly all of [0, 8s]", lowest, highest)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		start := time.Now()
		if err := backoff.Wait(ctx, time.Hour); !errors.Is(err, cause) || time.Since(start) != time.Second {
			t.Errorf("Wait = %v after %v, want %v after 1s", err, time.Since(start), cause)
		}
		if err := backoff.Wait(t.Context(), time.Minute); err != nil {
			t.Errorf("Wait = %v, want nil", err)
		}
	})
}
