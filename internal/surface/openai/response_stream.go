package openai

import (
	"context"
	"net/http"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// responseStream is a response on its way to one client.
type responseStream struct {
	surface *Surface
	asked   asked
	events  *surface.Events
	script  *script
	live    live
	// headed is how many of the events that come before the answer were told.
	headed int
}

// streamResponse tells of the response, from the event after the given number on. A
// response that is made by this request begins to be answered with its answer, or when
// nothing has come for a while: what fails before that is answered as without a stream.
// Whoever asks for a response in the background needs its id at once.
func (s *Surface) streamResponse(ctx context.Context, x *exchange, a asked, after int64) error {
	stream, err := s.open(ctx, a.job)
	if err != nil {
		return err
	}
	defer stream.Close()
	t := &responseStream{surface: s, asked: a, events: surface.NewEvents(x.w, x.caller.WriteTimeout)}
	t.script = newScript(after, t.events.Add)
	t.live = live{script: t.script}
	err = stream.Run(ctx, jobs.StreamPosition{}, func(events ...jobs.StreamEvent) error { return t.tell(ctx, events) })
	if err == nil && !t.events.Begun() {
		err = t.events.Flush() // the client has all of it
	}
	if err == nil {
		s.delivered(ctx, x, t.asked.job)
		return nil
	}
	return t.broken(ctx, x, err)
}

// broken ends a stream that is not whole. What is in the background goes on without it,
// and can be asked for again.
func (t *responseStream) broken(ctx context.Context, x *exchange, err error) error {
	if ctx.Err() != nil && !x.left() {
		err = surface.ErrStopping
	}
	if !t.events.Begun() {
		return err
	}
	if !t.lasts() {
		t.surface.abandon(ctx, t.asked.job)
	}
	if x.left() {
		return x.broken(err)
	}
	e := errorOf(err)
	e.note(x.caller)
	// The number is the one to go on from: an error is no part of the answer.
	t.events.Add("error", object{
		{"type", quote("error")},
		{"sequence_number", integer(max(t.script.last, 0))},
		{"code", quote(e.code)},
		{"message", quote(shorten(e.message, maxMessage))},
		{"param", null},
	}.encode())
	if err := t.events.Flush(); err != nil {
		return x.broken(err)
	}
	return nil
}

// lasts reports whether the response is made even if nobody listens.
func (t *responseStream) lasts() bool { return t.asked.background() || t.asked.follows }

func (t *responseStream) tell(ctx context.Context, events []jobs.StreamEvent) error {
	for _, e := range events {
		if err := t.one(ctx, e); err != nil {
			return err
		}
	}
	return t.events.FlushAdded()
}

func (t *responseStream) one(ctx context.Context, e jobs.StreamEvent) error {
	switch e.Type {
	case jobs.StreamStatus:
		t.asked.job = e.Job
		if t.lasts() {
			return t.head(e.Job.Status != jobs.StatusQueued)
		}
	case jobs.StreamDelta:
		return t.delta(e)
	case jobs.StreamRestart:
		if t.script.next > int64(t.headed) {
			return errRestarted
		}
		t.live = live{script: t.script}
	case jobs.StreamDone:
		t.asked.job = e.Job
		return t.done(ctx)
	case jobs.StreamPing:
		t.events.Comment("ping")
	}
	return nil
}

// head tells that the response is there, and that it is being made if it has begun.
func (t *responseStream) head(begun bool) error {
	heads := []struct{ name, status string }{{"response.created", responseQueued}, {"response.queued", responseQueued}}
	if !t.asked.background() {
		heads = []struct{ name, status string }{{"response.created", responseInProgress}}
	}
	if begun {
		heads = append(heads, struct{ name, status string }{"response.in_progress", responseInProgress})
	}
	for _, h := range heads[min(t.headed, len(heads)):] {
		o, err := t.asked.unanswered(h.status)
		if err != nil {
			return err
		}
		t.script.event(h.name, "", encodeResponse(o))
		t.headed++
	}
	return nil
}

func (t *responseStream) delta(e jobs.StreamEvent) error {
	if err := t.head(true); err != nil {
		return err
	}
	if err := t.underway(e.At.Fence); err != nil {
		return err
	}
	t.live.add(e.Data)
	return nil
}

// underway says whose events follow. A client that has some of another run's cannot go
// on from there.
func (t *responseStream) underway(fence int64) error {
	t.script.underway(fence)
	if after := t.script.after; after >= int64(t.headed) && after>>runBits != t.script.run>>runBits {
		return errCannotResume
	}
	return nil
}

// errCannotResume answers who would go on with an answer that broke off.
var errCannotResume = &apiError{
	kind: kindInvalid, code: "restarted", ours: "restarted", status: http.StatusConflict, param: "starting_after",
	message: "starting_after: the answer broke off there and was begun anew; ask for it from the beginning",
}

// done tells what was not told yet of a response that has ended, and its end.
func (t *responseStream) done(ctx context.Context) error {
	job := t.asked.job
	if job.Status != jobs.StatusSucceeded || len(job.Result) == 0 {
		return t.failed()
	}
	fence, err := t.surface.fenceOf(ctx, job)
	if err != nil {
		return err
	}
	whole, err := t.asked.object()
	if err != nil {
		return err
	}
	t.script, t.headed = t.script.again(), 0
	if err := t.head(true); err != nil {
		return err
	}
	if err := t.underway(fence); err != nil {
		return err
	}
	if err := t.script.output(whole); err != nil {
		return err
	}
	end := "response.completed"
	if status, _ := whole.get("status"); textOf(status) == "incomplete" {
		end = "response.incomplete"
	}
	t.script.event(end, "", encodeResponse(whole))
	return t.script.end()
}

// failed tells that there is no answer. Whoever waits for it in the request that asks is
// told as without a stream.
func (t *responseStream) failed() error {
	if !t.lasts() && !t.events.Begun() {
		return errorOfJob(t.asked.job)
	}
	if err := t.head(true); err != nil {
		return err
	}
	o, err := t.asked.object()
	if err != nil {
		return err
	}
	t.script.next = max(t.script.next, t.script.last+1-t.script.run)
	t.script.event("response.failed", "", encodeResponse(o))
	return nil
}

// fenceOf returns the fence of the run that brought the job's answer; zero if it is not
// known, for it was there before the job.
func (s *Surface) fenceOf(ctx context.Context, job jobs.Job) (fence int64, err error) {
	ctx, cancel := s.storeContext(ctx)
	defer cancel()
	calls, err := s.cfg.Jobs.Calls(ctx, job.Tenant, job.ID)
	for _, c := range calls {
		if c.Status == jobs.CallSuccess {
			fence = max(fence, c.Fence)
		}
	}
	return fence, err
}
