package app

import (
	"context"
	"io"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/batches/keeper"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
)

// batching is what a process has of batches. A worker has no service, an API no keeper.
type batching struct {
	service *batches.Service
	keeper  *keeper.Keeper
}

// buildBatches makes what takes batches in, and what runs them.
func (p *parts) buildBatches(c Config, stores kept, holder uuid.UUID, o *observed) (err error) {
	if stores.batches == nil {
		return nil
	}
	if c.Role.serves() {
		p.batches.service = batches.NewService(stores.batches, p.signals, p.service.CheckPolicy)
	}
	if !c.Role.runs() {
		return nil
	}
	p.batches.keeper, err = keeper.New(keeper.Config{
		Store: stores.batches, Jobs: p.service, Standings: p.store, Holder: holder, Poll: c.pollInterval(),
		Open: inputs{stores.files, p.files}.open, Observer: o.keeper(),
	})
	return err
}

// inputs are the files that batches are read from.
type inputs struct {
	store files.Store
	files *files.Service
}

// open returns the input of a batch: also one that has expired since the batch was made,
// for it is kept as long as the batch needs it.
func (i inputs) open(ctx context.Context, b batches.Batch) (io.ReaderAt, int64, error) {
	f, err := i.store.File(ctx, b.Tenant, b.Input, b.CreatedAt)
	if err != nil {
		return nil, 0, err
	}
	return i.files.Open(ctx, b.Tenant, f), f.Bytes, nil
}

// hear passes signals on to the keeper.
func (b *batching) hear(s jobs.Signal) {
	switch {
	case b.keeper == nil:
	case s.Kind == jobs.SignalEnded:
		b.keeper.Ended(s.Jobs...)
	case s.Kind == jobs.SignalBatches:
		b.keeper.Changed(s.Batches...)
	}
}
