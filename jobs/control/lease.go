package control

import (
	"context"
	"fmt"
	"time"
)

// leaseGrace bounds giving a lease up.
const leaseGrace = 2 * time.Second

// lease is a right to do something that need not be done by all. It saves
// work; what it guards is safe without it.
type lease struct {
	c    *Controller
	name string
	held bool
}

func (c *Controller) lease(name string) *lease { return &lease{c: c, name: name} }

// hold takes or renews the lease and reports whether this process has it.
func (l *lease) hold(ctx context.Context) (bool, error) {
	held, err := l.c.cfg.Store.Lease(ctx, l.name, l.c.cfg.Holder, l.c.cfg.Pace.Lease)
	if err != nil {
		return false, fmt.Errorf("take the lease %q: %w", l.name, err)
	}
	l.held = held
	return held, nil
}

// release gives the lease up, so that another need not wait for its end.
func (l *lease) release(ctx context.Context) {
	if !l.held {
		return
	}
	l.held = false
	err := within(context.WithoutCancel(ctx), leaseGrace, func(ctx context.Context) error {
		return l.c.cfg.Store.Unlease(ctx, l.name, l.c.cfg.Holder)
	})
	if err != nil {
		l.c.cfg.Observer.error(fmt.Errorf("give up the lease %q: %w", l.name, err))
	}
}
