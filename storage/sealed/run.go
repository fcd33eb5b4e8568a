package sealed

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Claim opens the request: see [jobs.RunStore]. When it can be read by none the
// claim stands and the work is refused, when not by this process it is withheld.
func (s *Store) Claim(ctx context.Context, c jobs.Claim) (jobs.Work, error) {
	w, err := s.Store.Claim(ctx, c)
	if err != nil {
		return jobs.Work{}, err
	}
	body, err := s.open(ctx, requestOf(w.Tenant, w.Task.Execution), w.Body)
	w.Body = body
	if err == nil {
		return w, nil
	}
	if why := refusal(err); why.Code != "" {
		w.Refused = &why
		return w, nil
	}
	if withheld, ok := errors.AsType[*withheldError](err); ok {
		w.Withheld = withheld.Error()
		return w, nil
	}
	return jobs.Work{}, err
}

// Finish seals the result: see [jobs.RunStore].
func (s *Store) Finish(ctx context.Context, o jobs.Outcome) ([]uuid.UUID, error) {
	var err error
	if o.Result, o.KeyID, err = s.seal(ctx, outcomeOf(o, resultBody), o.Result); err != nil {
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
	sealed.Message, o.KeyID, err = s.sealText(ctx, outcomeOf(*o, message), sealed.Message)
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

// CloseCall seals what arrived of an answer: see [jobs.RunStore].
func (s *Store) CloseCall(ctx context.Context, c jobs.Call) error {
	c, err := s.sealCall(ctx, c)
	if err != nil {
		return err
	}
	return s.Store.CloseCall(ctx, c)
}

// sealCall seals what arrived of an answer.
func (s *Store) sealCall(ctx context.Context, c jobs.Call) (jobs.Call, error) {
	var err error
	c.Partial, c.KeyID, err = s.sealText(ctx, partialOf(c), c.Partial)
	if isHopeless(err) {
		c.Partial, err = "", nil
	}
	return c, err
}

// isHopeless reports whether sealing fails however often it is tried, or until
// this process is started with another secret. An execution must end all the
// same, so what is not needed for that is left out.
func isHopeless(err error) bool {
	if _, ok := errors.AsType[*lostError](err); ok {
		return true
	}
	_, ok := errors.AsType[*withheldError](err)
	return ok
}
