package queue_test

import (
	"context"
	"testing"

	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue"
	"github.com/penstock-dev/penstock/jobs/queue/queuetest"
)

func TestBusOnEmbeddedRedis(t *testing.T) {
	t.Parallel()
	queuetest.RunBus(t, func(t *testing.T) jobs.Bus {
		t.Helper()
		return queue.NewBus(embedded(t), nil)
	})
}

func TestBusOnRedis(t *testing.T) {
	t.Parallel()
	queuetest.RunBus(t, func(t *testing.T) jobs.Bus {
		t.Helper()
		return queue.NewBus(connect(t, testenv.Redis(t)), nil)
	})
}

func TestBusInMemory(t *testing.T) {
	t.Parallel()
	queuetest.RunBus(t, func(*testing.T) jobs.Bus { return queuetest.NewBus() })
}

func TestSubscribeToNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := queue.NewBus(nil, nil).Subscribe(ctx, nil); err != nil {
		t.Errorf("Subscribe() = %v, want nil", err)
	}
}
