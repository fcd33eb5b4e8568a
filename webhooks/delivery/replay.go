package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// undelivered is what a replay selects that names no statuses.
var undelivered = []Status{StatusFailed, StatusSkipped}

// StartReplay begins to send again what r selects of r.Endpoint. Of r only Tenant,
// Endpoint, Since, Until, Statuses and Types are looked at. Since is required; no Until,
// or a later one, is now; no statuses are failed and skipped; Types may name all of a
// kind, such as job.*, and none are all.
func (s *Service) StartReplay(ctx context.Context, r Replay) (Replay, error) {
	r, err := r.complete()
	if err != nil {
		return Replay{}, err
	}
	w, err := s.Get(ctx, r.Tenant, r.Endpoint)
	if err != nil {
		return Replay{}, err
	}
	if w.Disabled != "" {
		return Replay{}, inWords(noEndpoint, ErrDisabled)
	}
	if r, err = s.store.StartReplay(ctx, r); err != nil {
		return Replay{}, inWords(noEndpoint, err)
	}
	s.changed(ctx, r.Endpoint)
	return r, nil
}

// complete refuses what selects nothing, all of it together.
func (r Replay) complete() (Replay, error) {
	at := now()
	done := Replay{
		ID: newID(), Tenant: r.Tenant, Endpoint: r.Endpoint, Since: r.Since, Until: r.Until, Statuses: r.Statuses,
		Status: ReplayRunning, CreatedAt: at,
	}
	if done.Until.IsZero() || done.Until.After(at) {
		done.Until = at
	}
	if len(done.Statuses) == 0 {
		done.Statuses = undelivered
	}
	var wrong []error
	switch {
	case done.Since.IsZero():
		wrong = append(wrong, jobs.Invalid("/since", "is required: what was written then or later is sent again"))
	case !done.Since.Before(done.Until) && r.Until.IsZero():
		wrong = append(wrong, jobs.Invalid("/since", "is yet to come"))
	case !done.Since.Before(done.Until):
		wrong = append(wrong, jobs.Invalid("/until", "must be later than since, and since must have passed"))
	}
	for i, status := range done.Statuses {
		if !slices.Contains([]Status{StatusDelivered, StatusFailed, StatusSkipped}, status) {
			wrong = append(wrong, jobs.Invalid(fmt.Sprintf("/status/%d", i), "must be delivered, failed or skipped"))
		}
	}
	wrong = append(wrong, fields(checkTypes(r.Types)))
	done.Types = expand(r.Types)
	done.Statuses = slices.Compact(slices.Sorted(slices.Values(done.Statuses)))
	return done, errors.Join(wrong...)
}

// expand returns the types that are meant; none are all, those that tests have included.
func expand(wanted []string) (types []string) {
	if len(wanted) == 0 || slices.Contains(wanted, "*") {
		return nil
	}
	for _, t := range Types() {
		if slices.ContainsFunc(wanted, func(want string) bool { return covers(want, t) }) {
			types = append(types, t)
		}
	}
	return types
}

// Replay returns a replay as it stands.
func (s *Service) Replay(ctx context.Context, tenant string, id uuid.UUID) (Replay, error) {
	r, err := s.store.ReplayByID(ctx, tenant, id)
	return r, inWords(noReplay, err)
}

// Replays lists the last hundred replays of an endpoint, newest first.
func (s *Service) Replays(ctx context.Context, tenant string, endpoint uuid.UUID) ([]Replay, error) {
	if _, err := s.Get(ctx, tenant, endpoint); err != nil {
		return nil, err
	}
	return s.store.Replays(ctx, tenant, endpoint)
}

// CancelReplay ends a replay early, and returns it. One that has ended stays as it is.
func (s *Service) CancelReplay(ctx context.Context, tenant string, id uuid.UUID) (Replay, error) {
	r, err := s.store.CancelReplay(ctx, tenant, id, now())
	if err != nil {
		return Replay{}, inWords(noReplay, err)
	}
	s.changed(ctx, r.Endpoint)
	return r, nil
}
