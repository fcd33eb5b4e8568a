package queue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// quiet is how long a subscription may be silent before it is asked for a
	// sign of life, which must come within quiet as well.
	quiet = 10 * time.Second
	// After a lost connection the next try comes after firstRetry, then twice
	// that, at most lastRetry.
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Second
)

// listener subscribes to channels and keeps subscribed.
type listener struct {
	client   redis.UniversalClient
	channels []string
	// hear is called for each message, and with fresh true and no message for
	// each channel that was just (re)subscribed to. It must not block: the
	// in-process Redis delivers to one subscriber after another, and waits.
	hear   func(channel, message string, fresh bool)
	report func(error)
}

// run returns when ctx ends.
func (l *listener) run(ctx context.Context) {
	retry := firstRetry
	for {
		started := time.Now()
		err := l.session(ctx)
		if ctx.Err() != nil {
			return
		}
		l.report(fmt.Errorf("listen to %s: %w", l.channels[0], err))
		if time.Since(started) > lastRetry {
			retry = firstRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry):
		}
		retry = min(2*retry, lastRetry)
	}
}

// session listens over one connection until that is lost or ctx ends.
func (l *listener) session(ctx context.Context) error {
	subscription := l.client.Subscribe(ctx)
	defer subscription.Close()
	if err := subscription.Subscribe(ctx, l.channels...); err != nil {
		return err
	}
	// Reading does not end with ctx; closing ends it. Closing waits while a
	// connection is being made, which the client's timeouts bound.
	stop := context.AfterFunc(ctx, func() { _ = subscription.Close() })
	defer stop()
	asked := false
	for {
		received, err := subscription.ReceiveTimeout(ctx, quiet)
		var timeout net.Error
		switch {
		case err == nil:
			asked = false
			l.dispatch(received)
		case !errors.As(err, &timeout) || !timeout.Timeout() || asked:
			return err
		default:
			asked = true
			if err := subscription.Ping(ctx); err != nil {
				return err
			}
		}
	}
}

func (l *listener) dispatch(received any) {
	switch r := received.(type) {
	case *redis.Subscription:
		l.hear(r.Channel, "", true)
	case *redis.Message:
		l.hear(r.Channel, r.Payload, false)
	}
}
