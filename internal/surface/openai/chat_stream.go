package openai

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// chatStream is a chat completion on its way to one client: the chunks as the provider
// sends them. It begins to be answered with the first of them, or when none has come for
// a while; what fails before that is answered as without a stream.
type chatStream struct {
	events *surface.Events
	usage  bool
	told   told
	// usageTold says that the client has the usage.
	usageTold bool
}

// errRestarted ends a stream whose answer is begun anew: what was told counts no more,
// and chunks cannot be taken back.
var errRestarted = &apiError{
	kind: kindServer, code: "restarted", ours: "restarted", status: 502, again: true,
	message: "the answer broke off and is begun anew; repeat the request",
}

// errOtherAnswer ends a stream when the answer is not what was told of it.
var errOtherAnswer = &apiError{
	kind: kindServer, code: "restarted", ours: "restarted", status: 502, again: true,
	message: "the answer is another than the one that was begun; repeat the request",
}

// streamChat tells of the answer as it arrives.
func (s *Surface) streamChat(ctx context.Context, x *exchange, q request, job jobs.Job) error {
	stream, err := s.open(ctx, job)
	if err != nil {
		return err
	}
	defer stream.Close()
	c := &chatStream{events: surface.NewEvents(x.w, x.caller.WriteTimeout), usage: q.includeUsage, told: told{}}
	var last jobs.Job
	err = stream.Run(ctx, jobs.StreamPosition{}, func(events ...jobs.StreamEvent) error {
		for _, e := range events {
			if e.Type == jobs.StreamDone {
				last = e.Job
			}
		}
		return c.tell(events)
	})
	if err == nil {
		s.delivered(ctx, x, last)
		return nil
	}
	return s.endStream(ctx, x, job, c.events, err)
}

func (s *Surface) open(ctx context.Context, job jobs.Job) (jobs.Stream, error) {
	ctx, cancel := s.storeContext(ctx)
	defer cancel()
	return s.cfg.Follower.Open(ctx, job.Tenant, job.ID)
}

// endStream ends a stream that is not whole. One that has begun serves nobody any more,
// for it cannot be gone on with: its job is cancelled.
func (s *Surface) endStream(ctx context.Context, x *exchange, job jobs.Job, events *surface.Events, err error) error {
	if ctx.Err() != nil && !x.left() {
		err = surface.ErrStopping
	}
	if !events.Begun() {
		return err
	}
	s.abandon(ctx, job)
	if x.left() {
		return x.broken(err)
	}
	e := errorOf(err)
	e.note(x.caller)
	data, err := surface.Marshal(e.body())
	if err != nil {
		return x.broken(err)
	}
	events.Add("", data)
	if err := events.Flush(); err != nil {
		return x.broken(err)
	}
	return nil
}

// abandon cancels a job whose answer nobody reads.
func (s *Surface) abandon(ctx context.Context, job jobs.Job) {
	ctx, cancel := s.afterContext(ctx)
	defer cancel()
	_, _ = s.cfg.Jobs.Cancel(ctx, job.Tenant, job.ID) // at worst it is answered for nobody
}

// tell passes on what is new.
func (c *chatStream) tell(events []jobs.StreamEvent) error {
	for _, e := range events {
		if err := c.one(e); err != nil {
			return err
		}
	}
	return c.events.FlushAdded()
}

func (c *chatStream) one(e jobs.StreamEvent) error {
	switch e.Type {
	case jobs.StreamDelta:
		return c.chunk(e.Data)
	case jobs.StreamRestart:
		if c.told.empty() {
			return nil
		}
		return errRestarted
	case jobs.StreamDone:
		return c.done(e.Job)
	case jobs.StreamPing:
		c.events.Comment("ping")
	default: // how it stands is not told here
	}
	return nil
}

// chunk passes a chunk on. Providers are always asked for the usage; a client that was
// not told to expect it gets none.
func (c *chatStream) chunk(data json.RawMessage) error {
	var piece chunk
	members, err := readObject(data)
	if err != nil || json.Unmarshal(data, &piece) != nil {
		return errors.New("a piece of the answer is not a chunk")
	}
	c.told.add(piece)
	if _, ok := members.get("usage"); ok {
		c.usageTold = c.usageTold || c.usage
		if len(piece.Choices) == 0 && !c.usage {
			return nil
		}
	}
	if !c.usage {
		data = members.without("usage").encode()
	}
	c.events.Add("", data)
	return nil
}

// done tells what was not told yet, and ends the stream.
func (c *chatStream) done(job jobs.Job) error {
	if job.Status != jobs.StatusSucceeded || len(job.Result) == 0 {
		return errorOfJob(job)
	}
	rest, err := c.told.rest(job.Result)
	if err != nil {
		return err
	}
	if c.usage && !c.usageTold {
		rest = append(rest, usageChunk(job.Result))
	}
	for _, data := range rest {
		c.events.Add("", data)
	}
	c.events.Add("", []byte("[DONE]"))
	return nil
}
