package sealed

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// Webhooks is a [delivery.Store] that seals what the one below it keeps: bodies and
// answers as [Store] does payloads, and the secrets that sign always. Without a secret
// to seal those with there are no endpoints: that is [delivery.ErrSecretKeyMissing].
//
// Secrets that were erased, or that open for nobody, are left out of what signs; a body
// of that kind is [delivery.Due].Lost, such an answer is empty.
type Webhooks struct {
	delivery.Store

	sealer *Store
}

var _ delivery.Store = (*Webhooks)(nil)

// Webhooks returns a store of deliveries that stands on b and seals with s's keys.
func (s *Store) Webhooks(b delivery.Store) *Webhooks { return &Webhooks{Store: b, sealer: s} }

// CreateEndpoint seals the secret: see [delivery.EndpointStore].
func (w *Webhooks) CreateEndpoint(ctx context.Context, e delivery.Endpoint, s delivery.Secret) error {
	sealed, err := w.sealSecret(ctx, s)
	if err != nil {
		return err
	}
	return w.Store.CreateEndpoint(ctx, e, sealed)
}

// RotateSecret seals the secret: see [delivery.EndpointStore].
func (w *Webhooks) RotateSecret(ctx context.Context, s delivery.Secret, until time.Time) (int, error) {
	sealed, err := w.sealSecret(ctx, s)
	if err != nil {
		return 0, err
	}
	return w.Store.RotateSecret(ctx, sealed, until)
}

func (w *Webhooks) sealSecret(ctx context.Context, s delivery.Secret) (delivery.Secret, error) {
	if len(w.sealer.keys.secrets) == 0 {
		return delivery.Secret{}, delivery.ErrSecretKeyMissing
	}
	envelope, key, err := w.sealer.sealAlways(ctx, signingOf(s), []byte(s.Key))
	if err != nil {
		return delivery.Secret{}, err
	}
	s.Key, s.KeyID = toText(envelope), key
	return s, nil
}

// LeaseEndpoints opens the secrets: see [delivery.CourierStore].
func (w *Webhooks) LeaseEndpoints(
	ctx context.Context, holder uuid.UUID, now time.Time, limit int,
) ([]delivery.Leased, error) {
	leased, err := w.Store.LeaseEndpoints(ctx, holder, now, limit)
	if err != nil {
		return nil, err
	}
	return w.openLeased(ctx, holder, leased)
}

// RenewEndpoints opens the secrets: see [delivery.CourierStore].
func (w *Webhooks) RenewEndpoints(
	ctx context.Context, holder uuid.UUID, ids []uuid.UUID, now time.Time,
) ([]delivery.Leased, error) {
	leased, err := w.Store.RenewEndpoints(ctx, holder, ids, now)
	if err != nil {
		return nil, err
	}
	return w.openLeased(ctx, holder, leased)
}

// openLeased opens what can be opened. What this process cannot open, and another may,
// is given up for the other.
func (w *Webhooks) openLeased(ctx context.Context, holder uuid.UUID, all []delivery.Leased) ([]delivery.Leased, error) {
	var failed error
	var others []uuid.UUID
	for i, l := range all {
		opened, err := w.openSecrets(ctx, l.Secrets)
		if err != nil {
			failed, others = err, append(others, l.ID)
		}
		all[i].Secrets = opened
	}
	if failed == nil {
		return all, nil
	}
	if err := w.ReleaseEndpoints(ctx, holder, others); err != nil {
		return nil, err
	}
	rest := slices.DeleteFunc(all, func(l delivery.Leased) bool { return slices.Contains(others, l.ID) })
	if len(rest) == 0 {
		return nil, failed
	}
	return rest, nil
}

func (w *Webhooks) openSecrets(ctx context.Context, sealed []delivery.Secret) ([]delivery.Secret, error) {
	opened := make([]delivery.Secret, 0, len(sealed))
	for _, s := range sealed {
		key, err := w.sealer.openText(ctx, signingOf(s), s.Key)
		if refusal(err).Code != "" {
			continue
		}
		if err != nil {
			return nil, err
		}
		s.Key = key
		opened = append(opened, s)
	}
	return opened, nil
}

// Due opens the bodies: see [delivery.CourierStore].
func (w *Webhooks) Due(
	ctx context.Context, endpoint uuid.UUID, now time.Time, limit int,
) ([]delivery.Due, error) {
	due, err := w.Store.Due(ctx, endpoint, now, limit)
	if err != nil {
		return nil, err
	}
	for i, d := range due {
		due[i].Body, err = w.sealer.open(ctx, bodyOf(d.Tenant, d.ID), d.Body)
		if refusal(err).Code != "" {
			due[i].Lost, err = true, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return due, nil
}

// EndedJobs opens the jobs: see [delivery.CourierStore].
func (w *Webhooks) EndedJobs(ctx context.Context, ids []uuid.UUID, results bool) (map[uuid.UUID]jobs.Job, error) {
	found, err := w.Store.EndedJobs(ctx, ids, results)
	if err != nil {
		return nil, err
	}
	for id, j := range found {
		if found[id], err = w.sealer.openJob(ctx, j); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// KeepBodies seals the bodies, and opens those that were there before: see
// [delivery.CourierStore].
func (w *Webhooks) KeepBodies(ctx context.Context, bodies []delivery.Body) (map[uuid.UUID][]byte, error) {
	sealed, tenants := slices.Clone(bodies), make(map[uuid.UUID]string, len(bodies))
	for i, b := range bodies {
		var err error
		sealed[i].Body, sealed[i].KeyID, err = w.sealer.seal(ctx, bodyOf(b.Tenant, b.Delivery), b.Body)
		if err != nil {
			return nil, err
		}
		tenants[b.Delivery] = b.Tenant
	}
	before, err := w.Store.KeepBodies(ctx, sealed)
	if err != nil {
		return nil, err
	}
	for id, body := range before {
		if before[id], err = w.sealer.open(ctx, bodyOf(tenants[id], id), body); err != nil {
			return nil, err
		}
	}
	return before, nil
}

// Record seals the answers: see [delivery.CourierStore]. One that cannot be sealed is
// not kept.
func (w *Webhooks) Record(ctx context.Context, records []delivery.Record) error {
	sealed := slices.Clone(records)
	for i, r := range records {
		var err error
		sealed[i].Answer, sealed[i].KeyID, err = w.sealer.seal(ctx, answerOf(r.Tenant, r), r.Answer)
		if isHopeless(err) {
			sealed[i].Answer, err = nil, nil
		}
		if err != nil {
			return err
		}
	}
	return w.Store.Record(ctx, sealed)
}

// Delivery opens the answers: see [delivery.EndpointStore].
func (w *Webhooks) Delivery(ctx context.Context, tenant string, id uuid.UUID) (delivery.Delivery, []delivery.Record, error) {
	d, attempts, err := w.Store.Delivery(ctx, tenant, id)
	if err != nil {
		return d, nil, err
	}
	for i, r := range attempts {
		answer, err := w.sealer.open(ctx, answerOf(tenant, r), r.Answer)
		if errors.Is(err, errUnknownKey) { // an answer in plain may begin with any byte
			answer, err = r.Answer, nil
		}
		if err != nil && refusal(err).Code == "" {
			return d, nil, err
		}
		attempts[i].Answer = answer
	}
	return d, attempts, nil
}

func signingOf(s delivery.Secret) place {
	return place{tenant: s.Tenant, purpose: webhookSecret, execution: s.ID, call: s.Owner}
}

func bodyOf(tenant string, id uuid.UUID) place {
	return place{tenant: tenant, purpose: deliveryBody, execution: id}
}

func answerOf(tenant string, r delivery.Record) place {
	p := place{tenant: tenant, purpose: deliveryAnswer, execution: r.Delivery}
	binary.BigEndian.PutUint64(p.call[:], uint64(r.N)) //nolint:gosec // counts from 1
	return p
}
