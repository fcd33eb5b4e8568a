package live

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

const (
	// pingEvery is how long a stream is silent at most.
	pingEvery = 15 * time.Second
	// lastPieces bounds how long a job that has succeeded waits for the last
	// pieces of its answer.
	lastPieces = lastWords
	// maxAtOnce bounds how many pieces are told in one go.
	maxAtOnce = 256
)

// Follower makes the streams of jobs. It is safe for use by many goroutines.
type Follower struct {
	jobs *jobs.Service
	hub  *Hub
}

// NewFollower returns a follower of the jobs that service knows and the runs
// that hub hears of.
func NewFollower(service *jobs.Service, hub *Hub) *Follower {
	return &Follower{jobs: service, hub: hub}
}

// Open returns the stream of a job, or [jobs.ErrNotFound].
func (f *Follower) Open(ctx context.Context, tenant string, id uuid.UUID) (jobs.Stream, error) {
	watch := f.jobs.Watch(id)
	job, err := f.jobs.Job(ctx, tenant, id)
	if err != nil {
		watch.Stop()
		return nil, err
	}
	watch.Saw(job)
	return &stream{jobs: f.jobs, job: job, watch: watch, listener: f.hub.Listen(job.ExecutionID)}, nil
}

// stream is one job's stream on its way to one listener.
type stream struct {
	jobs     *jobs.Service
	job      jobs.Job
	watch    *jobs.Watch
	listener *Listener
	at       jobs.StreamPosition
	tell     func(...jobs.StreamEvent) error
	quiet    *time.Timer
}

// Close implements [jobs.Stream].
func (s *stream) Close() {
	s.watch.Stop()
	s.listener.Close()
}

// Run implements [jobs.Stream].
func (s *stream) Run(ctx context.Context, after jobs.StreamPosition, tell func(...jobs.StreamEvent) error) error {
	s.at, s.tell, s.quiet = after, tell, time.NewTimer(pingEvery)
	defer s.quiet.Stop()
	if s.job.Status.Terminal() {
		return s.done()
	}
	if err := s.status(); err != nil {
		return err
	}
	return s.follow(ctx)
}

func (s *stream) follow(ctx context.Context) error {
	for {
		heard := s.listener.Heard()
		if err := s.pieces(heard); err != nil {
			return err
		}
		select {
		case <-heard.Changed:
		case <-s.watch.C:
			if over, err := s.look(ctx); over || err != nil {
				return err
			}
		case <-s.quiet.C:
			if err := s.say(jobs.StreamEvent{Type: jobs.StreamPing}); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pieces tells what is new of what was heard.
func (s *stream) pieces(heard Heard) error {
	switch {
	case heard.Fence < s.at.Fence:
		return nil
	case heard.Fence > s.at.Fence:
		if err := s.begin(heard.Fence); err != nil {
			return err
		}
	}
	if s.at.Seq >= len(heard.Pieces) {
		return nil
	}
	for some := range slices.Chunk(heard.Pieces[s.at.Seq:], maxAtOnce) {
		deltas := make([]jobs.StreamEvent, len(some))
		for i, piece := range some {
			s.at.Seq++
			deltas[i] = jobs.StreamEvent{Type: jobs.StreamDelta, At: s.at, Data: piece}
		}
		if err := s.say(deltas...); err != nil {
			return err
		}
	}
	return nil
}

// begin turns to a later run. If pieces of another were told, they count no more.
func (s *stream) begin(fence int64) error {
	told := s.at.Seq > 0
	s.at = jobs.StreamPosition{Fence: fence}
	if told {
		if err := s.say(jobs.StreamEvent{Type: jobs.StreamRestart, At: s.at}); err != nil {
			return err
		}
	}
	if s.job.Status != jobs.StatusQueued {
		return nil
	}
	s.job.Status, s.job.WaitingOn, s.job.Position, s.job.ETA = jobs.StatusRunning, "", 0, time.Time{}
	return s.status()
}

// look sees how the job stands, and tells it if that is new. over says that the
// stream has ended.
func (s *stream) look(ctx context.Context) (over bool, err error) {
	job, err := s.jobs.Job(ctx, s.job.Tenant, s.job.ID)
	if err != nil {
		return false, err
	}
	s.watch.Saw(job)
	changed := job.Status != s.job.Status || job.WaitingOn != s.job.WaitingOn
	s.job = job
	switch {
	case job.Status.Terminal():
		return true, s.end(ctx)
	case changed:
		return false, s.status()
	default:
		return false, nil
	}
}

// end tells what is still to come of the answer, and that the job has ended.
func (s *stream) end(ctx context.Context) error {
	late := time.NewTimer(lastPieces)
	defer late.Stop()
	for waiting := s.job.Status == jobs.StatusSucceeded; ; {
		heard := s.listener.Heard()
		if err := s.pieces(heard); err != nil {
			return err
		}
		if !waiting || heard.Over || heard.Fence == 0 {
			return s.done()
		}
		select {
		case <-heard.Changed:
		case <-late.C:
			waiting = false
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *stream) status() error {
	job := s.job
	job.Result = nil
	return s.say(jobs.StreamEvent{Type: jobs.StreamStatus, Job: job})
}

func (s *stream) done() error { return s.tell(jobs.StreamEvent{Type: jobs.StreamDone, Job: s.job}) }

func (s *stream) say(events ...jobs.StreamEvent) error {
	s.quiet.Reset(pingEvery)
	return s.tell(events...)
}
