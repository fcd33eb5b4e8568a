package httpapi

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/canonical"
)

// maxBatchBody bounds a submission with its requests: they are bounded as lines, and what
// is around them takes some room, too.
const maxBatchBody = batches.MaxBytes + 1<<20

// repeatWithin is how long the key of a submission is remembered.
const repeatWithin = 24 * time.Hour

// createBatch is POST /v1/job-batches. Requests that come with it become a file first,
// which goes again if the batch is not made.
func (a *API) createBatch(x *exchange) error {
	if err := noQuery(x); err != nil {
		return err
	}
	key, err := idempotencyKey(x.Request().Header)
	if err != nil {
		return err
	}
	if err := checkContent(x.Request().Header); err != nil {
		return err
	}
	if x.Request().ContentLength > maxBatchBody {
		return tooLarge(maxBatchBody)
	}
	s := &batchSubmission{api: a, x: x, bodies: share{of: &a.bodies}, lines: sha256.New()}
	defer s.close()
	n, err := s.read()
	if err != nil {
		return err
	}
	n.Tenant, n.Repeat.Key = x.tenant, key
	ctx, cancel := a.storeContext(x)
	defer cancel()
	b, replayed, err := a.cfg.Batches.Create(ctx, n)
	if err != nil {
		return err
	}
	x.batch = b.ID
	x.header().Set("Location", batchesPath+"/"+b.ID.String())
	if replayed {
		x.header().Set("Idempotent-Replayed", "true")
	} else {
		s.file = uuid.Nil // it is the batch's now
	}
	return a.writeBatch(x, http.StatusAccepted, b)
}

// batchSubmission reads a submission. Its requests count against all other bodies one by
// one, while they are held.
type batchSubmission struct {
	api    *API
	x      *exchange
	bodies share
	writer *files.Writer
	// spool is nil before the first request; lines is the SHA-256 of what is in it.
	spool *batches.LineWriter
	lines hash.Hash
	// endpoint is that of the lines.
	endpoint string
	// file is what is left behind if the batch is not made.
	file uuid.UUID
}

// close leaves nothing behind but what is the batch's.
func (s *batchSubmission) close() {
	s.bodies.giveBack()
	if s.writer != nil {
		s.writer.Abort()
	}
	if s.file != uuid.Nil {
		s.remove(s.file)
	}
}

// remove removes a file that nobody has asked for. If that fails it goes when it is past
// its retention.
func (s *batchSubmission) remove(id uuid.UUID) {
	ctx, cancel := s.api.storeContext(s.x)
	defer cancel()
	if err := s.api.cfg.Files.Delete(ctx, s.x.tenant, id); err != nil {
		s.api.cfg.Log.Warn().Stringer("file", id).Err(err).Msg("remove the requests of a batch that was not made")
	}
}

// read reads the body and returns what it asks for, all but tenant and key.
func (s *batchSubmission) read() (batches.New, error) {
	body := newBatchBody(s.bodies.reader(surface.Tight(server{s.api, s.x}.Upload(maxBatchBody))))
	body.begin, body.request = s.begin, s.line
	if err := body.read(); err != nil {
		return batches.New{}, err
	}
	options, err := decodeBatch(body.fields)
	if err != nil {
		return batches.New{}, err
	}
	n := options.batch()
	if n.Input, err = s.input(&options); err != nil {
		return batches.New{}, err
	}
	n.Repeat.Within = repeatWithin
	n.Repeat.Fingerprint, err = s.fingerprint(body.fields)
	return n, err
}

// begin begins the file of the requests. What the fields so far say is looked at already:
// nobody is to send a long body in vain.
func (s *batchSubmission) begin(fields map[string]json.RawMessage) error {
	options, err := decodeBatch(fields)
	if err != nil {
		return err
	}
	s.endpoint = options.endpoint()
	return s.open()
}

// open begins a file.
func (s *batchSubmission) open() (err error) {
	s.writer, err = s.api.cfg.Files.Create(s.x.Request().Context(), files.New{
		Tenant: s.x.tenant, Name: "requests.jsonl", Purpose: files.PurposeBatch,
	})
	if err != nil {
		return err
	}
	s.lines.Reset()
	s.spool = batches.NewLineWriter(io.MultiWriter(s.writer, s.lines), s.endpoint)
	return nil
}

// line spools a request. What was read of the body by now is not held any more.
func (s *batchSubmission) line(customID string, body json.RawMessage) error {
	defer s.bodies.giveBack()
	return s.spool.Write(customID, body)
}

// input returns the file of the batch, which is one that was uploaded before or the one
// that has the requests.
func (s *batchSubmission) input(o *batchOptions) (uuid.UUID, error) {
	switch {
	case s.spool == nil && o.input == uuid.Nil:
		return uuid.Nil, jobs.Invalid("/requests", "is required: the requests, or input_file_id")
	case s.spool == nil:
		return o.input, nil
	case o.input != uuid.Nil:
		return uuid.Nil, jobs.Invalid("/input_file_id", "give either requests or input_file_id, not both")
	case s.spool.Lines() == 0:
		return uuid.Nil, jobs.Invalid("/requests", "must have at least one request")
	}
	file, err := s.commit()
	if err == nil && o.endpoint() != s.endpoint {
		file, err = s.spoolAgain(file, o.endpoint())
	}
	return file.ID, err
}

// commit ends the file.
func (s *batchSubmission) commit() (files.File, error) {
	ctx, cancel := s.api.storeContext(s.x)
	defer cancel()
	file, err := s.writer.Commit(ctx)
	if err == nil {
		s.file = file.ID
	}
	return file, err
}

// spoolAgain makes another file of one whose lines name an endpoint that turned out not to
// be the batch's: that was said after the requests.
func (s *batchSubmission) spoolAgain(from files.File, endpoint string) (files.File, error) {
	defer s.remove(from.ID)
	s.endpoint, s.file = endpoint, uuid.Nil
	if err := s.open(); err != nil {
		return files.File{}, err
	}
	lines := bufio.NewReader(s.api.cfg.Files.Open(s.x.Request().Context(), s.x.tenant, from))
	for {
		text, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return s.commit()
		}
		if err != nil {
			return files.File{}, fmt.Errorf("read the requests again: %w", err)
		}
		var line struct {
			CustomID string          `json:"custom_id"`
			Body     json.RawMessage `json:"body"`
		}
		if err := json.Unmarshal(text, &line); err != nil {
			return files.File{}, fmt.Errorf("understand the requests again: %w", err)
		}
		if err := s.spool.Write(line.CustomID, line.Body); err != nil {
			return files.File{}, err
		}
	}
}

// fingerprint is the SHA-256 of all that the submission says.
func (s *batchSubmission) fingerprint(fields map[string]json.RawMessage) (sum [32]byte, err error) {
	all, err := json.Marshal(fields)
	if err != nil {
		return sum, fmt.Errorf("fingerprint of a batch: %w", err)
	}
	if all, err = canonical.JSON(all); err != nil {
		return sum, notJSON(err)
	}
	return sha256.Sum256(s.lines.Sum(all)), nil
}

// noBatchKey refuses a key where a caller would believe that it is heeded.
func noBatchKey(h http.Header) error {
	if h.Get(headerIdempotencyKey) == "" {
		return nil
	}
	return jobs.Invalid("", "the header %s is not supported here; it is where a batch is submitted", headerIdempotencyKey)
}
