package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/jobs"
)

// Bus is a [jobs.Bus] on Redis' publish and subscribe. It is safe for use by
// many goroutines.
type Bus struct {
	client redis.UniversalClient
	report func(error)
	pause  pause
}

var _ jobs.Bus = (*Bus)(nil)

// NewBus returns a bus on client, which stays the caller's; see [NewSignals].
func NewBus(client redis.UniversalClient, report func(error)) *Bus {
	if report == nil {
		report = func(error) {}
	}
	return &Bus{client: client, report: report, pause: pause{start: time.Now()}}
}

// Publish implements [jobs.Bus]. It takes 250 ms at most; after it has failed,
// publishing fails at once for a second.
func (b *Bus) Publish(ctx context.Context, messages ...jobs.Message) error {
	err := b.pause.try(ctx, func(ctx context.Context) error {
		_, err := b.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, m := range messages {
				pipe.Publish(ctx, b.channel(m.Topic), m.Data)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("publish %d messages: %w", len(messages), err)
	}
	return nil
}

// Subscribe implements [jobs.Bus]. hear is called from one goroutine.
func (b *Bus) Subscribe(ctx context.Context, hear func(jobs.Message), topics ...string) error {
	if len(topics) == 0 {
		<-ctx.Done()
		return nil
	}
	listener := listener{client: b.client, report: b.report}
	topicOf := make(map[string]string)
	for _, topic := range topics {
		topicOf[b.channel(topic)] = topic
		listener.channels = append(listener.channels, b.channel(topic))
	}
	listener.hear = func(channel, message string, fresh bool) {
		m := jobs.Message{Topic: topicOf[channel]}
		if !fresh {
			m.Data = []byte(message)
		}
		hear(m)
	}
	listener.run(ctx)
	return nil
}

func (b *Bus) channel(topic string) string { return "penstock:" + database(b.client) + ":bus:" + topic }
