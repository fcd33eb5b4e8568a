package postgres

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// pile gives an endpoint n pending deliveries, as many that wait for their next attempt,
// as many delivered ones and a hundred failed ones, behind the store's back.
func pile(t *testing.T, s *Store, e delivery.Endpoint, prefix string, n int) {
	t.Helper()
	const fill = `
		WITH v AS (
			SELECT n, ($2 || lpad(to_hex(n), 8, '0'))::uuid AS id, now() - n * interval '1 millisecond' AS at
			FROM generate_series(1, $1::integer) AS n
		), waiting AS (
			INSERT INTO pending_deliveries (id, tenant, endpoint_id, event_id, job_id, type, url, trigger, bulk, attempts, step, thin,
				due_at, first_due_at, created_at)
			SELECT gen_random_uuid(), $3, $4, id, gen_random_uuid(), 'job.failed', '', 'event', n % 2 = 0, 1, 1, false,
				now() + interval '1 day', at, at
			FROM v
		), history AS (
			INSERT INTO deliveries (id, tenant, endpoint_id, event_id, job_id, type, url, status, trigger, attempts, step, thin,
				created_at, finished_at)
			SELECT ($2 || lpad(to_hex(n + 1000000), 8, '0'))::uuid, $3, $4, id, gen_random_uuid(), 'job.failed', '',
				CASE WHEN n % ($1 / 100) = 0 THEN 'failed' ELSE 'delivered' END, 'event', 1, 1, false, at, at
			FROM v
		)
		INSERT INTO pending_deliveries (id, tenant, endpoint_id, event_id, job_id, type, url, trigger, bulk, attempts, step, thin,
			due_at, first_due_at, created_at)
		SELECT id, $3, $4, id, gen_random_uuid(), 'job.failed', '', 'event', n % 2 = 0, 0, 0, false, at, at, at FROM v`
	if _, err := s.pool.Exec(t.Context(), fill, n, prefix, e.Tenant, e.ID); err != nil {
		t.Fatal(err)
	}
}

func TestPlansHoldForAPileOfDeliveries(t *testing.T) {
	t.Parallel()
	const many = 50_000
	s := openStore(t, Config{MaxConns: 1, Timeout: 5 * time.Minute})
	prefix := floorID(time.Now()).String()[:28]
	e := newEndpoint(t, s, nil)
	for range 20 {
		newEndpoint(t, s, nil)
		endJob(t, s, uuid.NewString())
	}
	now, first, holder := time.Now(), uuid.MustParse(prefix+"00000001"), uuid.New()
	list := func(name string, q delivery.Query) prepared {
		t.Helper()
		q.Tenant, q.Limit = "acme", 100
		sql, args := deliveriesQuery(q)
		prepared{t: t, s: s}.run(strings.Replace(listOrdered, "LOCAL ", "", 1))
		return prepare(t, s, name, sql, args...)
	}
	replay := func(name string, statuses ...delivery.Status) prepared {
		t.Helper()
		sql, args := selectedQuery(delivery.Replay{Endpoint: e.ID, Since: now.Add(-time.Hour), Until: now, Statuses: statuses}, uuid.Nil, 500)
		return prepare(t, s, name, sql, args...)
	}
	checks := []struct {
		statement prepared
		buffers   int
	}{
		{prepare(t, s, "lease", leaseQuery, uuid.New(), now, 50, holder), 1000},
		{prepare(t, s, "next", nextDueQuery, uuid.Nil, now), 500},
		{prepare(t, s, "among", dueAmongQuery, []uuid.UUID{e.ID}, now), 20},
		{prepare(t, s, "due", dueQuery, e.ID, now, 100), 700},
		{prepare(t, s, "idle", idleQuery, uuid.Nil, 500), 200},
		{replay("unsent", delivery.StatusFailed, delivery.StatusSkipped), 300},
		{replay("sent", delivery.StatusDelivered), 1000},
		{prepare(t, s, "one", selectDelivery, "acme", first), 250},
		{list("listed", delivery.Query{Endpoint: e.ID}), 1500},
		{list("more", delivery.Query{Endpoint: e.ID, Before: first}), 1500},
		{list("failed", delivery.Query{Endpoint: e.ID, Status: delivery.StatusFailed}), 1000},
		{list("pending", delivery.Query{Endpoint: e.ID, Status: delivery.StatusPending}), 1000},
		{list("ofjob", delivery.Query{Job: first}), 50},
	}
	pile(t, s, e, prefix, many)
	for _, c := range checks {
		plan := c.statement.plan()
		if strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s reads a whole table:\n%s", c.statement.name, plan)
		}
		if n := buffers(t, plan); n > c.buffers {
			t.Errorf("%s read %d buffers of %d deliveries, want at most %d:\n%s", c.statement.name, n, many, c.buffers, plan)
		}
	}
}

// deliver does one of each thing that is done with deliveries, of an endpoint and tenant
// of its own.
func deliver(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	e := newEndpoint(t, s, func(e *delivery.Endpoint) { e.Tenant = uuid.NewString() })
	var told []delivery.Delivery
	for range 4 {
		id, err := delivery.NewEventID(time.Now())
		must(nil, err)
		made, err := s.Tell(ctx, delivery.Event{
			ID: id, Tenant: e.Tenant, Type: delivery.LaneOpened, Data: []byte(`{}`), CreatedAt: time.Now(), Trigger: delivery.TriggerEvent,
		})
		must(made, err)
		told = append(told, made...)
	}
	holder, ids := uuid.New(), []uuid.UUID{e.ID}
	must(s.LeaseEndpoints(ctx, holder, time.Now(), 100))
	must(s.RenewEndpoints(ctx, holder, ids, time.Now()))
	must(s.NextDue(ctx, time.Now()))
	must(s.DueAmong(ctx, ids, time.Now()))
	due, err := s.Due(ctx, e.ID, time.Now(), 100)
	must(due, err)
	must(s.KeepBodies(ctx, []delivery.Body{{Delivery: due[0].ID, Endpoint: e.ID, Tenant: e.Tenant, Body: []byte(`{}`)}}))
	must(nil, s.Record(ctx, []delivery.Record{
		attemptOf(told[0], delivery.StatusDelivered), attemptOf(told[1], delivery.StatusPending), attemptOf(told[2], delivery.StatusFailed),
	}))
	late := attemptOf(told[2], delivery.StatusDelivered)
	late.N++
	must(nil, s.Record(ctx, []delivery.Record{late}))
	must(nil, s.SaveState(ctx, holder, delivery.StateChange{Endpoint: e.ID, Opened: true, At: time.Now()}))
	must(s.Deliveries(ctx, delivery.Query{Tenant: e.Tenant, Endpoint: e.ID, Limit: 10}))
	_, _, err = s.Delivery(ctx, e.Tenant, told[0].ID)
	must(nil, err)
	must(s.Redeliver(ctx, e.Tenant, told[0].ID, time.Now()))
	for _, cancelled := range []bool{true, false} {
		r, err := s.StartReplay(ctx, delivery.Replay{
			ID: uuid.Must(uuid.NewV7()), Tenant: e.Tenant, Endpoint: e.ID, Since: time.Now().Add(-time.Hour), CreatedAt: time.Now(),
		})
		must(r, err)
		must(s.Sweep(ctx, time.Now(), 100))
		if cancelled {
			must(s.CancelReplay(ctx, e.Tenant, r.ID, time.Now()))
		}
	}
	must(nil, s.ReleaseEndpoints(ctx, holder, ids))
	must(nil, s.DeleteEndpoint(ctx, e.Tenant, e.ID))
	must(s.Sweep(ctx, time.Now(), 100))
}
