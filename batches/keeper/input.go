package keeper

import (
	"context"
	"io"
	"sync/atomic"
)

// input is what lines are read from. Its reads end when the batch is changed: who cancels
// it does not wait for a slow bucket.
type input struct {
	io.ReaderAt

	stop  context.CancelFunc
	ended atomic.Bool
}

func (i *input) end() {
	i.ended.Store(true)
	i.stop()
}

// openInput makes the input readable, if it is not. It stays so, with the chunk that was
// read last, unless it does for many others.
func (t *turn) openInput(ctx context.Context) error {
	if in := t.input.Load(); in != nil && !in.ended.Load() {
		return nil
	}
	t.closeInput()
	ctx, stop := context.WithCancel(ctx)
	text, _, err := t.k.cfg.Open(ctx, t.batch)
	if err != nil {
		stop()
		return &inputError{err}
	}
	in := &input{ReaderAt: text, stop: stop}
	t.input.Store(in)
	t.keeps = t.k.inputs.tryEnter()
	if t.changed.Load() { // whoever changed it did not see this
		in.end()
	}
	return nil
}

func (t *turn) closeInput() {
	if in := t.input.Swap(nil); in != nil {
		in.end()
	}
	if t.keeps {
		t.k.inputs.leave()
	}
	t.keeps = false
}
