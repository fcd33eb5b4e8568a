package anthropic

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// stream answers with the events of the message as they come. Before the first of them a
// failure is answered as one; behind it an event says so. Once text was shown, another
// run cannot take its place: the stream ends, and the job with it, for nobody could have
// what it brings.
func (s *Surface) stream(ctx context.Context, x *exchange, job jobs.Job) error {
	feed, err := s.open(ctx, x, job)
	if err != nil {
		return err
	}
	defer feed.Close()
	v := &viewer{x: x, to: surface.NewEvents(x.w, x.WriteTimeout)}
	err = feed.Run(ctx, jobs.StreamPosition{}, v.tell)
	if ctx.Err() != nil && !x.left() {
		err = surface.ErrStopping
	}
	err = v.close(err)
	if v.teller.started && !v.ended {
		s.abandon(ctx, x, job)
	}
	return err
}

func (s *Surface) open(ctx context.Context, x *exchange, job jobs.Job) (jobs.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.StoreTimeout)
	defer cancel()
	return s.cfg.Follower.Open(ctx, x.Tenant, job.ID)
}

// close ends the answer after the stream ended with err. What it returns is not answered.
func (v *viewer) close(err error) error {
	switch {
	case err == nil || errors.Is(err, errOver):
	case v.x.left() || v.broken:
		v.x.Aborted = true
	case !v.to.Begun():
		return err
	default:
		v.x.Failure = err
		_ = v.fail(failureOf(surface.Known(err))) // the client may leave
	}
	return nil
}

// abandon ends a job whose answer nobody waits for any more.
func (s *Surface) abandon(ctx context.Context, x *exchange, job jobs.Job) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.StoreTimeout)
	defer cancel()
	if _, err := s.cfg.Jobs.Cancel(ctx, x.Tenant, job.ID); err != nil {
		x.Failure = err // it ends at its deadline
	}
}

// errOver says that the stream was ended.
var errOver = errors.New("the stream is over")

// viewer is a job's stream on its way to a client.
type viewer struct {
	x      *exchange
	to     *surface.Events
	teller teller
	// dirty says that there are events to send, ended that the job has, broken that the
	// client cannot be written to.
	dirty, ended, broken bool
}

// tell takes in what happens to the job.
func (v *viewer) tell(events ...jobs.StreamEvent) error {
	for _, e := range events {
		if err := v.one(e); err != nil {
			return err
		}
	}
	return v.flush()
}

func (v *viewer) one(e jobs.StreamEvent) error {
	switch e.Type {
	case jobs.StreamDelta:
		v.add(v.teller.add(e.Data))
	case jobs.StreamPing:
		v.add([]event{{"ping", json.RawMessage(`{"type":"ping"}`)}})
	case jobs.StreamRestart:
		return v.restart()
	case jobs.StreamDone:
		v.ended = true
		return v.done(e.Job)
	case jobs.StreamStatus:
	}
	return nil
}

// restart begins anew while nothing was told.
func (v *viewer) restart() error {
	if !v.teller.started {
		v.teller = teller{}
		return nil
	}
	return v.fail(failureOfCode("connection", "the provider's answer broke off, and was begun again elsewhere"))
}

// done tells the rest of the answer, or why there is none.
func (v *viewer) done(job jobs.Job) error {
	if job.Status == jobs.StatusSucceeded && job.Result != nil {
		rest, err := v.teller.rest(job.Result)
		if err != nil {
			return v.fail(failureOfCode("malformed", err.Error()))
		}
		v.add(rest)
		return nil
	}
	if v.to.Begun() || v.dirty {
		return v.fail(failureOfJob(job))
	}
	v.x.failJob(job)
	return errOver
}

func (v *viewer) add(events []event) {
	for _, e := range events {
		v.to.Add(e.Name, e.Data)
		v.dirty = true
	}
}

// flush sends what was added.
func (v *viewer) flush() error {
	if !v.dirty {
		return nil
	}
	v.dirty = false
	err := v.to.Flush()
	v.broken = err != nil
	return err
}

// fail ends the stream with an error.
func (v *viewer) fail(f failure) error {
	v.x.Code = f.code
	data, err := surface.Marshal(f.body(v.x.RequestID))
	if err != nil {
		return err
	}
	v.add([]event{{"error", data}})
	return errors.Join(v.flush(), errOver)
}
