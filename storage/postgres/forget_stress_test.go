package postgres

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Everything at once to a few hashes, and all of it forgotten meanwhile: dropped,
// deleted, past its retention, answered by what is going. No deadlock, nothing of
// what was to go stays, and nothing of what was to stay goes.
func TestForgettingWhileEverythingGoesOn(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{BatchSize: 16, Committers: 4, ChunkSize: 4})
	c := &crowd{t: t, s: s, worker: jobs.Worker{ID: uuid.Must(uuid.NewV7()), Name: "crowd"}, fleeting: true}
	c.must(c.beat())
	var group sync.WaitGroup
	for range 3 {
		for _, act := range []func() error{
			c.submit, c.submit, c.run, c.run, c.cancel, c.takeBack, c.unpark, c.deliver, c.drop, c.delete,
		} {
			group.Go(func() {
				for range 60 {
					c.must(act())
				}
			})
		}
	}
	for _, act := range []func() error{c.expire, c.retain} {
		group.Go(func() {
			for range 30 {
				c.must(act())
			}
		})
	}
	group.Wait()
	c.drain()
	for _, act := range []func() error{c.expire, c.drop} {
		c.must(act())
	}
	c.checkForgotten()
}

func (c *crowd) unpark() error {
	_, _, err := c.s.Unpark(context.Background(), time.Now().Add(time.Hour), 5)
	return err
}

func (c *crowd) expire() error {
	_, err := c.s.Expire(context.Background(), time.Now().Add(30*time.Minute), 5)
	if err == nil {
		_, err = c.s.Settle(context.Background())
	}
	return err
}

func (c *crowd) drop() error {
	for n := 1; n > 0; {
		var err error
		if n, err = c.s.Drop(context.Background(), time.Now().Add(3*time.Hour), 5); err != nil {
			return err
		}
	}
	return nil
}

func (c *crowd) deliver() error {
	id, ok := c.oneOf(50)
	if !ok {
		return nil
	}
	return c.s.Delivered(context.Background(), "acme", id, time.Now())
}

func (c *crowd) delete() error {
	id, ok := c.oneOf(100)
	if !ok {
		return nil
	}
	err := c.s.Delete(context.Background(), "acme", id)
	if errors.Is(err, jobs.ErrNotFound) || errors.Is(err, jobs.ErrLive) {
		return nil
	}
	return err
}

// retain deletes what was made more than a few milliseconds ago.
func (c *crowd) retain() error {
	r := jobs.Retention{Default: jobs.LeastRetention}
	_, err := c.s.Retain(context.Background(), r, time.Now().Add(jobs.LeastRetention-50*time.Millisecond))
	return err
}

// checkForgotten reads what is left when nothing lives.
func (c *crowd) checkForgotten() {
	c.t.Helper()
	for what, query := range map[string]string{
		"live rows": `SELECT (SELECT count(*) FROM queue) + (SELECT count(*) FROM releases)
			+ (SELECT count(*) FROM live_jobs) + (SELECT count(*) FROM jobs WHERE status = 'queued')`,
		"drops that are left":                 `SELECT count(*) FROM drops`,
		"ephemeral jobs that are not dropped": `SELECT count(*) FROM jobs WHERE ephemeral AND dropped_at IS NULL`,
		"jobs without their one event": `
			SELECT count(*) FROM jobs j WHERE (SELECT array_agg(e.type) FROM events e WHERE e.job_id = j.id)
				IS DISTINCT FROM ARRAY['job.' || j.status]`,
		"events without a job": `SELECT count(*) FROM events e WHERE NOT EXISTS (SELECT FROM jobs j WHERE j.id = e.job_id)`,
		"succeeded jobs without their answer": `
			SELECT count(*) FROM jobs j WHERE j.status = 'succeeded' AND j.dropped_at IS NULL AND NOT EXISTS (
				SELECT FROM results r WHERE r.execution_id = coalesce(j.answer_of, j.execution_id) AND r.body IS NOT NULL)`,
		"jobs without their request": `
			SELECT count(*) FROM jobs j WHERE j.dropped_at IS NULL AND NOT EXISTS (
				SELECT FROM requests r WHERE r.execution_id = j.execution_id AND r.body <> '')`,
		"requests that nobody has": `
			SELECT count(*) FROM requests d
			WHERE NOT EXISTS (SELECT FROM jobs j WHERE j.execution_id = d.execution_id)
				AND NOT EXISTS (SELECT FROM jobs j WHERE j.answer_of = d.execution_id)`,
		"results that nobody has": `
			SELECT count(*) FROM results d
			WHERE NOT EXISTS (SELECT FROM jobs j WHERE j.execution_id = d.execution_id)
				AND NOT EXISTS (SELECT FROM jobs j WHERE j.answer_of = d.execution_id)`,
		"calls that nobody has": `
			SELECT count(*) FROM calls d WHERE NOT EXISTS (SELECT FROM requests r WHERE r.execution_id = d.execution_id)`,
		"requests that all have dropped": `
			SELECT count(*) FROM requests d WHERE d.body <> ''
				AND NOT EXISTS (SELECT FROM jobs j WHERE j.execution_id = d.execution_id AND j.dropped_at IS NULL)
				AND NOT EXISTS (SELECT FROM jobs j WHERE j.answer_of = d.execution_id AND j.dropped_at IS NULL)`,
		"answers that all have dropped": `
			SELECT count(*) FROM results d WHERE d.body IS NOT NULL
				AND NOT EXISTS (SELECT FROM jobs j WHERE j.execution_id = d.execution_id AND j.dropped_at IS NULL)
				AND NOT EXISTS (SELECT FROM jobs j WHERE j.answer_of = d.execution_id AND j.dropped_at IS NULL)`,
		"partial answers that all have dropped": `
			SELECT count(*) FROM calls d WHERE d.partial IS NOT NULL
				AND (SELECT r.body = '' FROM requests r WHERE r.execution_id = d.execution_id)`,
	} {
		var n int
		if err := c.s.pool.QueryRow(c.t.Context(), query).Scan(&n); err != nil || n != 0 {
			c.t.Errorf("%s: got %d, %v, want none", what, n, err)
		}
	}
	noDeadlocks(c.t, c.s)
}
