package mailbox_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue/internal/mailbox"
)

func TestDeliverInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		box := mailbox.New([]jobs.SignalKind{jobs.SignalEnded})
		ctx, cancel := context.WithCancel(t.Context())
		var heard []jobs.Signal
		go box.Deliver(ctx, func(s jobs.Signal) { heard = append(heard, s) })
		var want []uuid.UUID
		for i := range 1000 {
			want = append(want, uuid.Must(uuid.NewV7()))
			box.Put(jobs.Signal{Kind: jobs.SignalEnded, Jobs: want[i:]})
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		if len(heard) != len(want) {
			t.Fatalf("heard %d signals, want %d", len(heard), len(want))
		}
		for i, s := range heard {
			if s.Jobs[0] != want[i] {
				t.Fatalf("signal %d is %v, want %v", i, s.Jobs[0], want[i])
			}
		}
	})
}

func TestResetLeavesZeroSignals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		box := mailbox.New([]jobs.SignalKind{jobs.SignalReady, jobs.SignalEnded})
		box.Put(jobs.Signal{Kind: jobs.SignalEnded, Jobs: []uuid.UUID{uuid.Must(uuid.NewV7())}})
		box.Reset()
		ctx, cancel := context.WithCancel(t.Context())
		var heard []jobs.Signal
		go box.Deliver(ctx, func(s jobs.Signal) { heard = append(heard, s) })
		synctest.Wait()
		cancel()
		synctest.Wait()
		if len(heard) != 2 || heard[0].Kind != jobs.SignalReady || heard[1].Kind != jobs.SignalEnded || heard[1].Jobs != nil {
			t.Errorf("heard %v, want a zero signal of each kind", heard)
		}
	})
}
