package run

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// linger is how long the tasks of a provider that is no more are still taken:
// they are given back, for another target or to wait.
const linger = 10 * time.Minute

// served is what calls are made with. A run keeps what it began with.
type served struct {
	providers   map[string]providers.Provider
	concurrency map[string]int
}

func (s served) check() error {
	for name, n := range s.concurrency {
		if n < 1 {
			return fmt.Errorf("the config has Concurrency[%q] %d; it must be at least 1", name, n)
		}
		if s.providers[name] == nil {
			return fmt.Errorf("the config has Concurrency[%q] and no provider of this name", name)
		}
	}
	return nil
}

// Serve puts others in the place of the config's Providers and Concurrency.
// Runs under way end with what they began with; a provider that may still be
// called by them must not be taken apart. Nothing changes if there is an error.
func (r *Runner) Serve(all map[string]providers.Provider, concurrency map[string]int) error {
	s := served{all, concurrency}
	if err := s.check(); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	r.served.Store(&s)
	select {
	case r.changed <- struct{}{}:
	default:
	}
	return nil
}

// consumers are the goroutines that take tasks, one for each provider.
type consumers struct {
	group sync.WaitGroup
	open  map[string]*consumer
}

type consumer struct {
	concurrency int
	// stop lets it take no more; what it took is run to its end.
	stop context.CancelFunc
	// closing says that the provider is no more.
	closing bool
}

// serve starts and stops consumers as what is served changes, until ctx ends.
func (r *Runner) serve(ctx context.Context, all *consumers) {
	for {
		all.follow(r.served.Load().concurrency, func(provider string, n int) context.CancelFunc {
			ctx, stop := context.WithCancel(ctx)
			all.group.Go(func() { r.consume(ctx, provider, n) })
			return stop
		})
		select {
		case <-r.changed:
		case <-ctx.Done():
			return
		}
	}
}

// follow makes of the open consumers those that are wanted.
func (c *consumers) follow(wanted map[string]int, start func(provider string, n int) context.CancelFunc) {
	for provider, n := range wanted {
		running, ok := c.open[provider]
		if ok && running.concurrency == n && !running.closing {
			continue
		}
		if ok {
			running.stop()
		}
		c.open[provider] = &consumer{concurrency: n, stop: start(provider, n)}
	}
	for provider, running := range c.open {
		if _, ok := wanted[provider]; !ok && !running.closing {
			running.closing = true
			time.AfterFunc(linger, running.stop)
		}
	}
}
