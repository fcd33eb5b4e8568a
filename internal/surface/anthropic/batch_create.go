package anthropic

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/providers"
)

// spoolName is that of the file in which the requests of a batch are kept.
const spoolName = "message_batch.jsonl"

// createBatch is POST /v1/messages/batches. The requests are kept as they arrive, as the
// lines of a file; what Messages thinks of each is found out as the lines of every batch
// are read: if one is no good, the batch ends with none of them run.
func (s *Surface) createBatch(x *exchange) error {
	sum := sha256.New()
	input, count, err := s.spool(x, sum)
	if err != nil {
		return err
	}
	x.File = input
	b, replayed, err := s.begun(x, input, count, sum)
	if err != nil || replayed {
		s.discard(x.r.Context(), batches.Batch{Tenant: x.Tenant, Input: input})
	}
	if err != nil {
		return err
	}
	x.Batch = b.ID
	x.write(http.StatusOK, s.encodeBatch(x, b))
	return nil
}

// spool keeps the requests in a file, and counts them. sum is told all that arrives.
func (s *Surface) spool(x *exchange, sum hash.Hash) (input uuid.UUID, count int, err error) {
	ctx := x.r.Context()
	file, err := s.cfg.Files.Create(ctx, files.New{Tenant: x.Tenant, Name: spoolName, Purpose: files.PurposeBatch})
	if err != nil {
		return uuid.Nil, 0, err
	}
	defer file.Abort()
	body := io.TeeReader(x.Server.Upload(maxBatchBody), sum)
	lines := batches.NewLineWriter(file, providers.Messages)
	if err := newRequests(body).readAll(lines.Write); err != nil {
		return uuid.Nil, 0, err
	}
	kept, err := file.Commit(ctx)
	return kept.ID, lines.Lines(), err
}

// maxBatchBody is how many bytes a new batch may have.
const maxBatchBody = batches.MaxBytes

// batchKey begins the names of submissions that SDKs may repeat by themselves.
const batchKey = "penstock message batch "

// requestsKey is where the metadata of a batch says how many requests it was made of: they
// are counted from the beginning, and also if none is run.
const requestsKey = "requests"

// begun makes the batch, or finds that which an SDK's retry repeats.
func (s *Surface) begun(x *exchange, input uuid.UUID, count int, sum hash.Hash) (b batches.Batch, replayed bool, err error) {
	repeat := batches.Repeat{Key: batchKey + hex.EncodeToString(sum.Sum(nil)), Fingerprint: [sha256.Size]byte(sum.Sum(nil))}
	if surface.IsRetry(x.r) {
		repeat.Within = surface.Shared
	}
	ctx, cancel := x.storeContext()
	defer cancel()
	return s.cfg.Batches.Create(ctx, batches.New{
		Tenant: x.Tenant, Endpoint: providers.Messages, Input: input, Window: batches.DefaultWindow, Repeat: repeat,
		Metadata: map[string]string{requestsKey: strconv.Itoa(count)},
	})
}
