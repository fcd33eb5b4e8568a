package control

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	maintainEvery = time.Hour
	// upkeepTimeout leaves room for dropping much.
	upkeepTimeout = 10 * time.Minute
	// dropLimit bounds what one transaction drops.
	dropLimit = 200
)

// upkeep settles and tidies, under a lease: it would be wasteful, not wrong, in
// several processes.
type upkeep struct {
	c     *Controller
	lease *lease
	// maintained is when this process last maintained the store; zero: never.
	maintained time.Time
}

func (u *upkeep) step(ctx context.Context) error {
	held, err := u.lease.hold(ctx)
	if err != nil || !held {
		return err
	}
	return errors.Join(u.settle(ctx), u.drop(ctx), u.maintain(ctx)) // none waits for another to work
}

func (u *upkeep) settle(ctx context.Context) error {
	ended, err := u.c.cfg.Store.Settle(ctx)
	u.c.ended(ctx, ended)
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	return nil
}

// drop makes ephemeral jobs that are due forget.
func (u *upkeep) drop(ctx context.Context) error {
	for {
		n, err := u.c.cfg.Store.Drop(ctx, time.Now().UTC(), dropLimit)
		if err != nil {
			return fmt.Errorf("drop: %w", err)
		}
		if n < dropLimit {
			return nil
		}
	}
}

func (u *upkeep) maintain(ctx context.Context) error {
	now := time.Now()
	if now.Sub(u.maintained) < maintainEvery {
		return nil
	}
	if err := u.c.cfg.Store.Maintain(ctx, now.UTC()); err != nil {
		return fmt.Errorf("maintain: %w", err)
	}
	u.maintained = now
	return nil
}
