package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue/internal/mailbox"
)

const (
	// sendTimeout bounds Send, so that a Redis that is away does not slow a
	// submission down.
	sendTimeout = 250 * time.Millisecond
	// sendPause is how long sending fails at once after it has failed.
	sendPause = time.Second
	// maxIDs bounds the ids in one message, about 20 KB.
	maxIDs = 500
)

// errPaused says that a signal was not sent because the last one could not be.
var errPaused = errors.New("not tried: Redis did not answer a moment ago")

// Signals is a [jobs.Signals] on Redis' publish and subscribe. It is safe for
// use by many goroutines.
type Signals struct {
	client redis.UniversalClient
	report func(error)
	start  time.Time
	// pausedUntil is a time since start. While it is ahead, nothing is sent.
	pausedUntil atomic.Int64
}

var _ jobs.Signals = (*Signals)(nil)

// NewSignals returns signals on client, which stays the caller's. For Send to
// be bounded it must respect the deadlines of contexts, as one of [Connect]
// does. report is told of lost connections and unreadable messages, and may be
// nil; see [Config].
func NewSignals(client redis.UniversalClient, report func(error)) *Signals {
	if report == nil {
		report = func(error) {}
	}
	return &Signals{client: client, report: report, start: time.Now()}
}

// Send implements [jobs.Signals]. It takes 250 ms at most; after it has
// failed, sending fails at once for a second.
func (s *Signals) Send(ctx context.Context, signal jobs.Signal) error {
	messages, err := encodeSignal(signal)
	if err != nil {
		return fmt.Errorf("send %s signal: %w", signal.Kind, err)
	}
	if !s.mayTry() {
		return fmt.Errorf("send %s signal: %w", signal.Kind, errPaused)
	}
	bounded, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	_, err = s.client.Pipelined(bounded, func(pipe redis.Pipeliner) error {
		for _, message := range messages {
			pipe.Publish(bounded, signalChannel(s.client, signal.Kind), message)
		}
		return nil
	})
	switch {
	case err == nil:
		s.pausedUntil.Store(0)
		return nil
	case ctx.Err() == nil: // the caller's own end says nothing about Redis
		s.pausedUntil.Store(int64(time.Since(s.start) + sendPause))
	}
	return fmt.Errorf("send %s signal: %w", signal.Kind, err)
}

// mayTry reports whether to send. When a pause is over, one caller tries and
// the others pause on until it is known how that went.
func (s *Signals) mayTry() bool {
	until, now := s.pausedUntil.Load(), int64(time.Since(s.start))
	if until == 0 {
		return true
	}
	return now >= until && s.pausedUntil.CompareAndSwap(until, now+int64(sendPause))
}

// Listen implements [jobs.Signals]. hear is called from one goroutine. When it
// is slow and many signals wait, they are replaced with a zero signal of each
// kind, as after a lost connection.
func (s *Signals) Listen(ctx context.Context, hear func(jobs.Signal), kinds ...jobs.SignalKind) error {
	if len(kinds) == 0 {
		<-ctx.Done()
		return nil
	}
	box := mailbox.New(kinds)
	listener := listener{client: s.client, report: s.report}
	kindOf := make(map[string]jobs.SignalKind)
	for _, kind := range kinds {
		channel := signalChannel(s.client, kind)
		kindOf[channel] = kind
		listener.channels = append(listener.channels, channel)
	}
	listener.hear = func(channel, message string, fresh bool) {
		signal := jobs.Signal{Kind: kindOf[channel]}
		if !fresh && json.Unmarshal([]byte(message), &signal) != nil {
			s.report(fmt.Errorf("read %s signal: not JSON of ours", kindOf[channel]))
			signal = jobs.Signal{}
		}
		signal.Kind = kindOf[channel]
		box.Put(signal)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		listener.run(ctx)
	}()
	box.Deliver(ctx, hear)
	<-done
	return nil
}

// encodeSignal returns one message, or several if there are many ids.
func encodeSignal(signal jobs.Signal) ([]string, error) {
	var messages []string
	for {
		part := signal
		part.Jobs, signal.Jobs = cut(signal.Jobs)
		part.Executions, signal.Executions = cut(signal.Executions)
		message, err := json.Marshal(part)
		if err != nil {
			return nil, err
		}
		messages = append(messages, string(message))
		if len(signal.Jobs)+len(signal.Executions) == 0 {
			return messages, nil
		}
	}
}

// cut splits ids after the first maxIDs.
func cut(ids []uuid.UUID) (head, tail []uuid.UUID) {
	n := min(len(ids), maxIDs)
	return ids[:n], ids[n:]
}
