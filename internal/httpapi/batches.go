package httpapi

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// Batches is what the API needs of [batches.Service].
type Batches interface {
	Create(ctx context.Context, n batches.New) (b batches.Batch, replayed bool, err error)
	Batch(ctx context.Context, tenant string, id uuid.UUID) (batches.Batch, error)
	List(ctx context.Context, q batches.Query) (page []batches.Batch, more bool, err error)
	Pause(ctx context.Context, tenant string, id uuid.UUID) (batches.Batch, error)
	Resume(ctx context.Context, tenant string, id uuid.UUID) (batches.Batch, error)
	Cancel(ctx context.Context, tenant string, id uuid.UUID) (batches.Batch, error)
	Retry(ctx context.Context, tenant string, id uuid.UUID) (batches.Batch, int, error)
	Delete(ctx context.Context, tenant string, id uuid.UUID) error
	Causes(ctx context.Context, tenant string, id uuid.UUID) ([]batches.Cause, error)
	Answers(ctx context.Context, q batches.AnswerQuery) iter.Seq2[batches.Answer, error]
}

// Files is where requests are kept that come with a batch: [files.Service].
type Files interface {
	Create(ctx context.Context, n files.New) (*files.Writer, error)
	Open(ctx context.Context, tenant string, f files.File) *files.Reader
	Delete(ctx context.Context, tenant string, id uuid.UUID) error
}

var (
	_ Batches = (*batches.Service)(nil)
	_ Files   = (*files.Service)(nil)
)

const (
	batchesPath = "/v1/job-batches"
	noBatch     = "no such batch"
)

// batchRoutes are those of batches.
func (a *API) batchRoutes() []route {
	const batch = batchesPath + "/:id"
	return []route{
		{http.MethodPost, batchesPath, a.tenanted(a.createBatch)},
		{http.MethodGet, batchesPath, a.tenanted(a.listBatches)},
		{http.MethodGet, batch, a.tenanted(a.getBatch)},
		{http.MethodDelete, batch, a.tenanted(a.deleteBatch)},
		{http.MethodPost, batch + "/pause", a.tenanted(a.pauseBatch)},
		{http.MethodPost, batch + "/resume", a.tenanted(a.resumeBatch)},
		{http.MethodPost, batch + "/cancel", a.tenanted(a.cancelBatch)},
		{http.MethodPost, batch + "/retry", a.tenanted(a.retryBatch)},
		{http.MethodGet, batch + "/results", a.tenanted(a.batchResults)},
	}
}

// batchID returns the id in the path, as any of the surfaces writes it.
func (x *exchange) batchID() (uuid.UUID, error) {
	id, err := surface.ParseID(x.Param("id"))
	if err != nil {
		return uuid.Nil, &jobs.Error{Code: jobs.CodeNotFound, Message: noBatch}
	}
	x.batch = id
	return id, nil
}

// listBatches is GET /v1/job-batches.
func (a *API) listBatches(x *exchange) error {
	q, err := parseQuery(x)
	if err != nil {
		return err
	}
	wanted := batches.Query{Tenant: x.tenant, Endpoint: q.text("endpoint"), Before: q.cursor(), Limit: q.limit()}
	if err := q.err(); err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	page, more, err := a.cfg.Batches.List(ctx, wanted)
	if err != nil {
		return err
	}
	return writePage(x, page, more, encodeBatch, func(b batches.Batch) uuid.UUID { return b.ID })
}

// getBatch is GET /v1/job-batches/{id}, with ?wait= once the batch has ended.
func (a *API) getBatch(x *exchange) error {
	id, err := x.batchID()
	if err != nil {
		return err
	}
	wait, err := waitQuery(x)
	if err != nil {
		return err
	}
	b, err := a.awaitBatch(x, id, wait)
	if err != nil {
		return err
	}
	return a.writeBatch(x, http.StatusOK, b)
}

// lookEvery is how often a batch is looked at for whoever waits for it.
const lookEvery = time.Second

// awaitBatch returns a batch once it has ended, or as it is after the wait; at once when
// too many wait, or when the API is about to stop.
func (a *API) awaitBatch(x *exchange, id uuid.UUID, wait time.Duration) (batches.Batch, error) {
	b, err := a.lookAtBatch(x, id)
	if err != nil || wait <= 0 || b.Status.Terminal() {
		return b, err
	}
	ctx, leave, ok := a.waiters.enter(x.Request().Context())
	if !ok {
		return b, nil
	}
	defer leave()
	over := time.NewTimer(wait)
	defer over.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return b, nil
		case <-over.C:
			return a.lookAtBatch(x, id)
		case <-look.C:
		}
		if b, err = a.lookAtBatch(x, id); err != nil || b.Status.Terminal() {
			return b, err
		}
	}
}

func (a *API) lookAtBatch(x *exchange, id uuid.UUID) (batches.Batch, error) {
	ctx, cancel := a.storeContext(x)
	defer cancel()
	return a.cfg.Batches.Batch(ctx, x.tenant, id)
}

// deleteBatch is DELETE /v1/job-batches/{id}.
func (a *API) deleteBatch(x *exchange) error {
	id, err := a.plainBatch(x)
	if err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	if err := a.cfg.Batches.Delete(ctx, x.tenant, id); err != nil {
		return err
	}
	return x.NoContent(http.StatusNoContent)
}

// pauseBatch is POST /v1/job-batches/{id}/pause.
func (a *API) pauseBatch(x *exchange) error { return a.changeBatch(x, a.cfg.Batches.Pause) }

// resumeBatch is POST /v1/job-batches/{id}/resume.
func (a *API) resumeBatch(x *exchange) error { return a.changeBatch(x, a.cfg.Batches.Resume) }

// cancelBatch is POST /v1/job-batches/{id}/cancel. One that has ended is answered as it
// ended.
func (a *API) cancelBatch(x *exchange) error { return a.changeBatch(x, a.cfg.Batches.Cancel) }

// retryBatch is POST /v1/job-batches/{id}/retry.
func (a *API) retryBatch(x *exchange) error {
	return a.changeBatch(x, func(ctx context.Context, tenant string, id uuid.UUID) (batches.Batch, error) {
		b, _, err := a.cfg.Batches.Retry(ctx, tenant, id)
		return b, err
	})
}

func (a *API) changeBatch(
	x *exchange, change func(ctx context.Context, tenant string, id uuid.UUID) (batches.Batch, error),
) error {
	id, err := a.plainBatch(x)
	if err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	b, err := change(ctx, x.tenant, id)
	if err != nil {
		return err
	}
	return a.writeBatch(x, http.StatusAccepted, b)
}

// plainBatch returns the batch's id of a request that says nothing else.
func (a *API) plainBatch(x *exchange) (uuid.UUID, error) {
	id, err := x.batchID()
	if err != nil {
		return uuid.Nil, err
	}
	if err := noQuery(x); err != nil {
		return uuid.Nil, err
	}
	if err := noBatchKey(x.Request().Header); err != nil {
		return uuid.Nil, err
	}
	return id, a.readNothing(x)
}

// writeBatch answers with a batch, and why lines of it have no answer.
func (a *API) writeBatch(x *exchange, status int, b batches.Batch) error {
	answer := encodeBatch(b)
	answer.Problems = encodeProblems(b.Problems)
	if b.Counts.Ended() > b.Counts.Succeeded {
		ctx, cancel := a.storeContext(x)
		defer cancel()
		causes, err := a.cfg.Batches.Causes(ctx, b.Tenant, b.ID)
		if err != nil {
			return err
		}
		answer.Failures = encodeCauses(causes)
	}
	return writeJSON(x, status, answer)
}
