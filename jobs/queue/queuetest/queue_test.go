package queuetest_test

import (
	"testing"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue/queuetest"
)

func TestQueue(t *testing.T) {
	t.Parallel()
	queuetest.RunInBubble(t, func(*testing.T) (jobs.Queue, func()) {
		q := queuetest.New()
		return q, q.Lose
	})
}
