package anthropic

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// resultLine is what became of one request.
type resultLine struct {
	CustomID string `json:"custom_id"`
	Result   result `json:"result"`
}

type result struct {
	Type    string          `json:"type"`
	Message json.RawMessage `json:"message,omitempty"`
	Error   *errorJSON      `json:"error,omitempty"`
}

// batchResults is GET /v1/messages/batches/{id}/results: a line for each request that has
// ended by then, in the order of the requests, also while others have not.
func (s *Surface) batchResults(x *exchange) error {
	id, err := x.batchID()
	if err != nil {
		return err
	}
	b, err := s.lookUp(x, id)
	if err != nil {
		return err
	}
	out := &lineWriter{x: x, conn: http.NewResponseController(x.w)}
	out.buffer = bufio.NewWriterSize(out, 64<<10)
	write := s.writeResults
	if b.Status == batches.StatusFailed {
		write = s.writeRejected
	}
	if err := errors.Join(write(x.r.Context(), b, out), out.buffer.Flush()); err != nil {
		if !out.begun {
			return err
		}
		x.Failure, x.Aborted = err, true
		return nil
	}
	out.begin()
	return nil
}

func (s *Surface) lookUp(x *exchange, id uuid.UUID) (batches.Batch, error) {
	ctx, cancel := x.storeContext()
	defer cancel()
	return s.cfg.Batches.Batch(ctx, x.Tenant, id)
}

// writeResults writes what has ended by now.
func (s *Surface) writeResults(ctx context.Context, b batches.Batch, out *lineWriter) error {
	for a, err := range s.cfg.Batches.Answers(ctx, batches.AnswerQuery{Tenant: b.Tenant, Batch: b.ID}) {
		if err == nil {
			err = out.write(resultLine{a.CustomID, resultOf(a)})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// resultOf is what became of a line. An answer is in the form of the batch's endpoint.
func resultOf(a batches.Answer) result {
	switch {
	case a.State == batches.LineSucceeded && len(a.Result) > 0:
		return result{Type: "succeeded", Message: a.Result}
	case a.State == batches.LineCancelled:
		return result{Type: "canceled"}
	case a.State == batches.LineExpired:
		return result{Type: "expired"}
	case a.State == batches.LineSucceeded:
		return errored(jobs.CodeDropped, "the answer is gone")
	default:
		return errored(jobs.Code(a.Code), a.Message)
	}
}

func errored(code jobs.Code, message string) result {
	return result{Type: "errored", Error: new(failureOfCode(code, message).body(""))}
}

// writeRejected writes that no request of a batch was run, and why: what is wrong with
// it, or with another.
func (s *Surface) writeRejected(ctx context.Context, b batches.Batch, out *lineWriter) error {
	input, err := s.cfg.Files.File(ctx, b.Tenant, b.Input)
	if err != nil {
		return err
	}
	wrong := map[int]batches.Problem{}
	for _, p := range b.Problems {
		if _, ok := wrong[p.Line]; !ok {
			wrong[p.Line] = p
		}
	}
	lines := bufio.NewReaderSize(s.cfg.Files.Open(ctx, b.Tenant, input), 64<<10)
	for n := 1; ; n++ {
		id, err := nextCustomID(lines)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = out.write(resultLine{id, rejected(n, wrong, b)})
		}
		if err != nil {
			return err
		}
	}
}

// rejected says why the nth request was not run.
func rejected(n int, wrong map[int]batches.Problem, b batches.Batch) result {
	if p, ok := wrong[n]; ok {
		return errored(jobs.CodeInvalidField, fieldMessage(p))
	}
	message := "not run: the batch was not begun"
	if len(b.Problems) > 0 {
		first := b.Problems[0]
		message = fmt.Sprintf("not run, for %d of the batch's requests are no good; of number %d %s",
			b.ProblemCount, first.Line, fieldMessage(first))
	}
	return errored(jobs.CodeInvalidField, message)
}

// fieldMessage names the field of a line as that of the request it was made of.
func fieldMessage(p batches.Problem) string {
	if p.Param == "" {
		return p.Message
	}
	if rest, ok := strings.CutPrefix(p.Param, "/body"); ok {
		return fieldOf("/params"+rest) + ": " + p.Message
	}
	return fieldOf(p.Param) + ": " + p.Message
}

// nextCustomID reads a line of an input; of one that is no good the id is empty.
func nextCustomID(lines *bufio.Reader) (string, error) {
	line, err := lines.ReadBytes('\n')
	if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0) {
		return "", err
	}
	var named struct {
		CustomID string `json:"custom_id"`
	}
	_ = json.Unmarshal(line, &named) // what is wrong with it is among the problems
	return named.CustomID, nil
}

// lineWriter answers with lines of JSON.
type lineWriter struct {
	x      *exchange
	conn   *http.ResponseController
	buffer *bufio.Writer
	begun  bool
}

func (o *lineWriter) write(line resultLine) error {
	raw, err := surface.Marshal(line) // with its line break
	if err == nil {
		_, err = o.buffer.Write(raw)
	}
	return err
}

func (o *lineWriter) begin() {
	if o.begun {
		return
	}
	o.begun = true
	o.x.w.Header().Set("Content-Type", "application/x-jsonl")
	o.x.w.WriteHeader(http.StatusOK)
}

// Write sends a part of the answer. A client that does not read for long is let go.
func (o *lineWriter) Write(p []byte) (int, error) {
	o.begin()
	_ = o.conn.SetWriteDeadline(time.Now().Add(o.x.WriteTimeout)) // a test's recorder has none
	return o.x.w.Write(p)
}
