package sealed

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Claim opens the request: see [jobs.RunStore]. When it can be read by none, or
// not by this process, the claim stands and the work is refused.
func (s *Store) Claim(ctx context.Context, c jobs.Claim) (jobs.Work, error) {
	w, err := s.Store.Claim(ctx, c)
	if err != nil {
		return jobs.Work{}, err
	}
	p := place{tenant: w.Tenant, purpose: requestBody, execution: w.Task.Execution}
	w.Body, err = s.open(ctx, p, w.Body)
	if why := refusal(err); why.Code != "" {
		w.Refused = &why
		return w, nil
	}
	if err != nil {
		return jobs.Work{}, err
	}
	return w, nil
}

// Finish seals the result: see [jobs.RunStore].
func (s *Store) Finish(ctx context.Context, o jobs.Outcome) ([]uuid.UUID, error) {
	p := place{tenant: o.Call.Tenant, purpose: resultBody, execution: o.Task.Execution}
	var err error
	if o.Result, o.KeyID, err = s.seal(ctx, p, o.Result); err != nil {
		return nil, err
	}
	if err := s.sealError(ctx, &o); err != nil {
		return nil, err
	}
	if o.Call, err = s.sealCall(ctx, o.Call); err != nil {
		return nil, err
	}
	return s.Store.Finish(ctx, o)
}

// sealError seals the message of a failure, which may quote the request. Those
// of this package are in its own words, and are told when there is no key.
func (s *Store) sealError(ctx context.Context, o *jobs.Outcome) error {
	if o.Error == nil || o.Error.Code == jobs.CodeErased || o.Error.Code == jobs.CodeUnreadable {
		return nil
	}
	sealed := *o.Error
	var err error
	sealed.Message, o.KeyID, err = s.sealText(ctx,
		place{tenant: o.Call.Tenant, purpose: message, execution: o.Task.Execution}, sealed.Message)
	if isHopeless(err) {
		sealed.Message, err = "why in detail is not kept: it could not be sealed", nil
	}
	o.Error = &sealed
	return err
}

// Reschedule seals what arrived of an answer: see [jobs.RunStore].
func (s *Store) Reschedule(ctx context.Context, r jobs.Rescheduling) error {
	var err error
	if r.Call, err = s.sealCall(ctx, r.Call); err != nil {
		return err
	}
	return s.Store.Reschedule(ctx, r)
}

// sealCall seals what arrived of an answer.
func (s *Store) sealCall(ctx context.Context, c jobs.Call) (jobs.Call, error) {
	var err error
	p := place{tenant: c.Tenant, purpose: partial, execution: c.Execution, call: c.ID}
	c.Partial, c.KeyID, err = s.sealText(ctx, p, c.Partial)
	if isHopeless(err) {
		c.Partial, err = "", nil
	}
	return c, err
}

// isHopeless reports whether sealing fails however often it is tried. An
// execution must end all the same, so what is not needed for that is left out.
func isHopeless(err error) bool {
	_, ok := errors.AsType[*unreadableError](err)
	return ok
}
