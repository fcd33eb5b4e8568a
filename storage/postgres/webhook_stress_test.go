package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// mailed is a crowd whose tenant has endpoints, and couriers that deliver to them.
type mailed struct {
	*crowd

	endpoints []delivery.Endpoint
}

// Jobs end in every way and are deleted while couriers deliver, and while their tenant
// redelivers, replays, cancels and disables. Nothing of that fails; each job that has ended
// has one delivery to each endpoint, pending or finished, and nothing is left of jobs that
// are gone.
func TestDeliveringWhileEverythingGoesOn(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{BatchSize: 16, Committers: 4, ChunkSize: 4})
	m := &mailed{crowd: &crowd{t: t, s: s, worker: jobs.Worker{ID: uuid.Must(uuid.NewV7()), Name: "crowd"}, fleeting: true}}
	m.must(m.beat())
	for range 3 {
		m.endpoints = append(m.endpoints, newEndpoint(t, s, nil))
	}
	var group sync.WaitGroup
	for range 2 {
		for _, act := range []func() error{
			m.submit, m.submit, m.run, m.run, m.cancel, m.drop, m.delete, m.expire,
			m.courier, m.courier, m.courier, m.again, m.replay, m.sweep, m.toggle,
		} {
			group.Go(func() {
				for range 40 {
					m.must(act())
				}
			})
		}
	}
	group.Wait()
	m.drain()
	m.checkDeliveries()
}

func (m *mailed) endpoint() delivery.Endpoint { return m.endpoints[rand.N(len(m.endpoints))] }

// courier has a turn with what it gets.
func (m *mailed) courier() error {
	ctx, now, holder := context.Background(), time.Now().Add(time.Hour), uuid.New()
	leased, err := m.s.LeaseEndpoints(ctx, holder, now, 2)
	for _, l := range leased {
		if err = errors.Join(err, m.turn(ctx, l.ID, now)); err != nil {
			return err
		}
		opened := delivery.StateChange{Endpoint: l.ID, Opened: rand.N(3) == 0, At: now}
		if err = m.s.SaveState(ctx, holder, opened); err != nil {
			return err
		}
		if err = m.s.ReleaseEndpoints(ctx, holder, []uuid.UUID{l.ID}); err != nil {
			return err
		}
	}
	return err
}

func (m *mailed) turn(ctx context.Context, endpoint uuid.UUID, now time.Time) error {
	due, err := m.s.Due(ctx, endpoint, now, 8)
	if err != nil {
		return err
	}
	var bodies []delivery.Body
	var records []delivery.Record
	for _, d := range due {
		bodies = append(bodies, delivery.Body{Delivery: d.ID, Endpoint: d.Endpoint, Tenant: d.Tenant, Body: []byte(`{}`)})
		status := []delivery.Status{delivery.StatusDelivered, delivery.StatusPending, delivery.StatusFailed}[rand.N(3)]
		records = append(records, attemptOf(d.Delivery, status))
	}
	rand.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	if _, err := m.s.KeepBodies(ctx, bodies); err != nil {
		return err
	}
	return m.s.Record(ctx, records)
}

func (m *mailed) again() error {
	list, err := m.s.Deliveries(context.Background(), delivery.Query{Tenant: "acme", Endpoint: m.endpoint().ID, Limit: 30})
	if err != nil || len(list) == 0 {
		return err
	}
	_, err = m.s.Redeliver(context.Background(), "acme", list[rand.N(len(list))].ID, time.Now())
	return unless(err, jobs.ErrNotFound, delivery.ErrDisabled)
}

func (m *mailed) replay() error {
	now := time.Now()
	r, err := m.s.StartReplay(context.Background(), delivery.Replay{
		ID: uuid.Must(uuid.NewV7()), Tenant: "acme", Endpoint: m.endpoint().ID, Since: now.Add(-time.Hour), Until: now, CreatedAt: now,
		Statuses: []delivery.Status{delivery.StatusDelivered, delivery.StatusFailed, delivery.StatusSkipped},
	})
	if err != nil || rand.N(2) == 0 {
		return unless(err, delivery.ErrDisabled)
	}
	if err := m.sweep(); err != nil {
		return err
	}
	_, err = m.s.CancelReplay(context.Background(), "acme", r.ID, now)
	return err
}

func (m *mailed) sweep() error {
	_, err := m.s.Sweep(context.Background(), time.Now(), 20)
	return err
}

// toggle disables an endpoint, and enables another.
func (m *mailed) toggle() error {
	for _, reason := range []delivery.Reason{delivery.DisabledByTenant, ""} {
		w, err := m.s.Endpoint(context.Background(), "acme", m.endpoint().ID)
		if err != nil {
			return err
		}
		w.Disabled = reason
		if err := unless(m.s.UpdateEndpoint(context.Background(), w.Endpoint), delivery.ErrChanged); err != nil {
			return err
		}
	}
	return nil
}

// unless returns an error that is none of those.
func unless(err error, fine ...error) error {
	for _, f := range fine {
		if errors.Is(err, f) {
			return nil
		}
	}
	return err
}

func (m *mailed) checkDeliveries() {
	m.t.Helper()
	const both = `(SELECT id, job_id, endpoint_id FROM pending_deliveries UNION ALL SELECT id, job_id, endpoint_id FROM deliveries)`
	for what, query := range map[string]string{
		"jobs without one delivery to each endpoint": `
			SELECT count(*) FROM jobs j CROSS JOIN webhook_endpoints e
			WHERE j.status <> 'queued' AND (SELECT count(*) FROM ` + both + ` d WHERE d.job_id = j.id AND d.endpoint_id = e.id) <> 1`,
		"deliveries of jobs that are gone or go on": `
			SELECT count(*) FROM ` + both + ` d WHERE NOT EXISTS (SELECT FROM jobs j WHERE j.id = d.job_id AND j.status <> 'queued')`,
		"bodies of nothing": `
			SELECT count(*) FROM delivery_bodies b WHERE NOT EXISTS (SELECT FROM ` + both + ` d WHERE d.id = b.delivery_id)`,
		"attempts of nothing": `
			SELECT count(*) FROM delivery_attempts a WHERE NOT EXISTS (SELECT FROM ` + both + ` d WHERE d.id = a.delivery_id)`,
	} {
		var n int
		if err := m.s.pool.QueryRow(context.Background(), query).Scan(&n); err != nil || n != 0 {
			m.t.Errorf("%s: got %d, %v, want none", what, n, err)
		}
	}
	var ended, attempts int
	const done = `SELECT (SELECT count(*) FROM jobs WHERE status <> 'queued'), (SELECT count(*) FROM delivery_attempts)`
	if err := m.s.pool.QueryRow(context.Background(), done).Scan(&ended, &attempts); err != nil || ended == 0 || attempts == 0 {
		m.t.Errorf("%d jobs have ended, %d attempts are left, %v: nothing was tested", ended, attempts, err)
	}
}
