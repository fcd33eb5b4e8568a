package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// part is something that runs until its context ends, then returns nil.
type part struct {
	name string
	run  func(context.Context) error
}

// runStages starts all parts and stops them stage by stage, the first stage
// first, when ctx ends or a part fails: each stage has wholly stopped before
// the next is told to. It returns the failure that ended it, or nil.
func runStages(ctx context.Context, stages ...[]part) error {
	failed := make(chan error, 1)
	type running struct {
		cancel context.CancelFunc
		wait   func()
	}
	started := make([]running, 0, len(stages))
	for _, stage := range stages {
		stageCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		var group sync.WaitGroup
		for _, p := range stage {
			group.Go(func() {
				if err := p.runUntil(stageCtx); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			})
		}
		started = append(started, running{cancel: cancel, wait: group.Wait})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	for _, stage := range started {
		stage.cancel()
		stage.wait()
	}
	select {
	case late := <-failed:
		err = errors.Join(err, late)
	default:
	}
	return err
}

// runUntil runs p and makes an early end a failure.
func (p part) runUntil(ctx context.Context) error {
	err := p.run(ctx)
	switch {
	case err != nil && !errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", p.name, err)
	case ctx.Err() == nil:
		return fmt.Errorf("%s: stopped by itself", p.name)
	default:
		return nil
	}
}
