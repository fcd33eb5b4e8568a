package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
)

const batchesPath = "/v1/job-batches"

// GetBatch returns a batch as it is.
func (c *Client) GetBatch(ctx context.Context, id uuid.UUID) (b Batch, err error) {
	return b, c.ask(ctx, request{method: http.MethodGet, path: batchPath(id, "")}, &b)
}

// WaitBatch returns a batch once it has ended, however long that takes: ctx bounds it.
// progress, unless it is nil, is told how the batch stands about once a second, and at its
// end.
func (c *Client) WaitBatch(ctx context.Context, id uuid.UUID, progress func(Batch)) (Batch, error) {
	wait := longPoll
	if progress == nil {
		progress = func(Batch) {}
	} else {
		wait = time.Second
	}
	r := request{method: http.MethodGet, path: batchPath(id, ""), query: url.Values{"wait": {wait.String()}}}
	for {
		asked := time.Now()
		var b Batch
		if err := c.ask(ctx, r, &b); err != nil {
			return b, err
		}
		if progress(b); b.Status.Ended() {
			return b, nil
		}
		if err := pace(ctx, asked); err != nil {
			return b, err
		}
	}
}

// PauseBatch has no line of a batch begun any more; what is under way goes on. One that has
// ended is a [CodeConflict].
func (c *Client) PauseBatch(ctx context.Context, id uuid.UUID) (Batch, error) {
	return c.changeBatch(ctx, id, "/pause", always)
}

// ResumeBatch undoes PauseBatch.
func (c *Client) ResumeBatch(ctx context.Context, id uuid.UUID) (Batch, error) {
	return c.changeBatch(ctx, id, "/resume", always)
}

// CancelBatch ends a batch early: what has ended by then is kept. One that has ended already
// is returned as it ended.
func (c *Client) CancelBatch(ctx context.Context, id uuid.UUID) (Batch, error) {
	return c.changeBatch(ctx, id, "/cancel", always)
}

// RetryFailed runs those lines of a batch that has ended again that have no answer; one that
// is under way is a [CodeConflict]. When its answer is lost it is not repeated by itself.
func (c *Client) RetryFailed(ctx context.Context, id uuid.UUID) (Batch, error) {
	return c.changeBatch(ctx, id, "/retry", undone)
}

func (c *Client) changeBatch(ctx context.Context, id uuid.UUID, what string, repeat repetition) (b Batch, err error) {
	return b, c.ask(ctx, request{method: http.MethodPost, path: batchPath(id, what), repeat: repeat}, &b)
}

// DeleteBatch removes a batch that has ended; its jobs stay. One that is not there is a
// [CodeNotFound], also when it was this call, repeated, that removed it.
func (c *Client) DeleteBatch(ctx context.Context, id uuid.UUID) error {
	return c.ask(ctx, request{method: http.MethodDelete, path: batchPath(id, "")}, nil)
}

// ListBatches goes over batches, newest first, a page at a time. An error ends it.
func (c *Client) ListBatches(ctx context.Context) iter.Seq2[Batch, error] {
	return pages[Batch](ctx, c, batchesPath, url.Values{"limit": {strconv.Itoa(maxPage)}})
}

func batchPath(id uuid.UUID, what string) string { return batchesPath + "/" + id.String() + what }
