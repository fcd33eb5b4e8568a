package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue/internal/mailbox"
)

// maxIDs bounds the ids in one message, about 20 KB.
const maxIDs = 500

// Signals is a [jobs.Signals] on Redis' publish and subscribe. It is safe for
// use by many goroutines.
type Signals struct {
	client redis.UniversalClient
	report func(error)
	pause  pause
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
	return &Signals{client: client, report: report, pause: pause{start: time.Now()}}
}

// Send implements [jobs.Signals]. It takes 250 ms at most; after it has
// failed, sending fails at once for a second.
func (s *Signals) Send(ctx context.Context, signal jobs.Signal) error {
	messages, err := encodeSignal(signal)
	if err != nil {
		return fmt.Errorf("send %s signal: %w", signal.Kind, err)
	}
	err = s.pause.try(ctx, func(ctx context.Context) error {
		_, err := s.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, message := range messages {
				pipe.Publish(ctx, signalChannel(s.client, signal.Kind), message)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("send %s signal: %w", signal.Kind, err)
	}
	return nil
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
