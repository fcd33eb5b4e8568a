package httpapi

import (
	"bytes"
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/internal/surface"
)

// batchResults is GET /v1/job-batches/{id}/results: the lines that have ended, as JSON
// lines, while the batch runs too. With follow=true those that are yet to end follow as
// they do.
func (a *API) batchResults(x *exchange) error {
	id, err := x.batchID()
	if err != nil {
		return err
	}
	q, err := parseQuery(x)
	if err != nil {
		return err
	}
	wanted, follow := answerQuery(q)
	if err := q.err(); err != nil {
		return err
	}
	wanted.Tenant, wanted.Batch = x.tenant, id
	if _, err := a.lookAtBatch(x, id); err != nil {
		return err
	}
	to := &lineStream{x: x, timeout: a.cfg.WriteTimeout}
	if x.Request().Method == http.MethodHead {
		return to.flush()
	}
	if follow {
		return a.followBatch(x, wanted, to)
	}
	if err := a.writeAnswers(x.Request().Context(), &wanted, to); err != nil {
		return err
	}
	return to.flush()
}

// answerQuery reads which lines are asked for, and whether those that are yet to end are.
func answerQuery(q *query) (wanted batches.AnswerQuery, follow bool) {
	if s := q.oneOf("status", "succeeded", "failed", "cancelled", "expired"); s != "" {
		wanted.States = []batches.State{batches.State(s)}
	}
	wanted.AsFinished = q.oneOf("order", "input", "finished") == "finished"
	wanted.After = q.number("after")
	follow = q.oneOf("follow", "true", "false") == "true"
	if follow && !wanted.AsFinished {
		q.fault("follow", "is for order=finished: in the order of the input nothing is behind a line that has not ended")
	}
	return wanted, follow
}

// number takes a parameter that counts something; without it, it is zero.
func (q *query) number(name string) int64 {
	value, ok := q.take(name)
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil {
		q.fault(name, "must be a whole number between 0 and %d", int64(math.MaxInt64))
	}
	return int64(n)
}

// writeAnswers writes what q selects and moves it behind the last.
func (a *API) writeAnswers(ctx context.Context, q *batches.AnswerQuery, to *lineStream) error {
	for answer, err := range a.cfg.Batches.Answers(ctx, *q) {
		if err != nil {
			return err
		}
		if q.After = int64(answer.N); q.AsFinished {
			q.After = answer.Seq
		}
		if err := to.write(encodeLine(answer)); err != nil {
			return err
		}
	}
	return nil
}

// followBatch writes lines as they end until the batch has ended, or the process is about to
// stop: then the connection is closed without an end.
func (a *API) followBatch(x *exchange, q batches.AnswerQuery, to *lineStream) error {
	ctx, leave, ok := a.waiters.enter(x.Request().Context())
	if !ok {
		return errTooManyStreams
	}
	defer leave()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		b, err := a.lookAtBatch(x, q.Batch)
		if err != nil {
			return err
		}
		if err := a.writeAnswers(ctx, &q, to); err != nil {
			return err
		}
		if err := to.flush(); err != nil || b.Status.Terminal() {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-look.C:
		}
	}
}

// lineStream answers with JSON lines.
type lineStream struct {
	x       *exchange
	timeout time.Duration
	buffer  bytes.Buffer
}

// lineBuffer is how much is gathered before it is sent.
const lineBuffer = 64 << 10

func (s *lineStream) write(v any) error {
	line, err := surface.Marshal(v)
	if err != nil {
		return err
	}
	s.buffer.Write(line)
	if s.buffer.Len() < lineBuffer {
		return nil
	}
	return s.flush()
}

// flush sends what was gathered, and with the first the status. A client that does not read
// for the timeout is let go.
func (s *lineStream) flush() error {
	w := s.x.Response()
	if !w.Committed {
		s.x.header().Set("Content-Type", "application/jsonl")
		s.x.header().Set("X-Accel-Buffering", "no")
		w.WriteHeader(http.StatusOK)
	}
	conn := http.NewResponseController(w.Writer)
	_ = conn.SetWriteDeadline(time.Now().Add(s.timeout)) // a test's recorder has none
	if _, err := s.buffer.WriteTo(w); err != nil {
		return err
	}
	return conn.Flush()
}
