package openai

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// answersContent answers with a file that is made of the lines of a batch that have
// ended, in the order of the input: those with an answer, or those without. It ends with
// those that have ended by then.
func (s *Surface) answersContent(x *exchange, f files.File) error {
	ctx := x.r.Context()
	x.caller.Batch = f.Batch
	b, err := s.cfg.Batches.Batch(ctx, f.Tenant, f.Batch)
	if err != nil {
		return err
	}
	q := batches.AnswerQuery{Tenant: f.Tenant, Batch: f.Batch, States: []batches.State{batches.LineSucceeded}}
	if f.ID == b.Errors {
		q.States = []batches.State{batches.LineFailed, batches.LineCancelled, batches.LineExpired}
	}
	to := x.download()
	out := bufio.NewWriterSize(to, copyBuffer)
	for a, err := range s.cfg.Batches.Answers(ctx, q) {
		if err == nil {
			err = writeAnswer(out, b, a)
		}
		switch {
		case err != nil && !to.begun:
			return err
		case err != nil:
			return x.broken(err)
		}
	}
	if err := out.Flush(); err != nil {
		return x.broken(err)
	}
	if !to.begun { // there is none: the file is empty
		x.w.WriteHeader(http.StatusOK)
	}
	return nil
}

// answerJSON is a line of the output or of the errors of a batch.
type answerJSON struct {
	ID       string        `json:"id"`
	CustomID string        `json:"custom_id"`
	Response *responseJSON `json:"response"`
	Error    *lineError    `json:"error"`
}

// responseJSON is what was answered, or would have been by one request.
type responseJSON struct {
	StatusCode int    `json:"status_code"`
	RequestID  string `json:"request_id"`
	Body       any    `json:"body"`
}

type lineError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func writeAnswer(w *bufio.Writer, b batches.Batch, a batches.Answer) error {
	line, err := encodeAnswer(b, a)
	if err != nil {
		return err
	}
	text, err := surface.Marshal(line)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

func encodeAnswer(b batches.Batch, a batches.Answer) (answerJSON, error) {
	line := answerJSON{ID: lineID(b.ID, a.N), CustomID: a.CustomID}
	switch {
	case a.State == batches.LineSucceeded && !a.Dropped:
		body, err := underOurName(b.Endpoint, a)
		line.Response = &responseJSON{http.StatusOK, requestID(a), body}
		return line, err
	case a.State == batches.LineFailed && a.Job != uuid.Nil:
		e := errorOfJob(jobs.Job{Error: &jobs.JobError{Code: a.Code, Message: a.Message}})
		line.Response = &responseJSON{e.status, requestID(a), e.body()}
	default:
		line.Error = &lineError{a.Code, messageOf(a)}
	}
	return line, nil
}

// underOurName is the answer as it is, but for a response: that is known by its job.
func underOurName(endpoint string, a batches.Answer) (any, error) {
	if endpoint != providers.Responses || a.Job == uuid.Nil {
		return a.Result, nil
	}
	o, err := readObject(a.Result)
	if err != nil {
		return nil, err
	}
	return o.set("id", quote(surface.ResponseID(a.Job))).encode(), nil
}

func requestID(a batches.Answer) string { return hex.EncodeToString(a.Job[:]) }

// lineID names a line of a batch.
func lineID(batch uuid.UUID, n int) string {
	return fmt.Sprintf("batch_req_%s_%d", hex.EncodeToString(batch[:]), n)
}

// messageOf says why a line has no answer.
func messageOf(a batches.Answer) string {
	switch {
	case a.Message != "":
		return a.Message
	case a.State == batches.LineExpired:
		return "this request was not answered before the batch's time was over"
	case a.State == batches.LineCancelled:
		return "this request was not answered before the batch was cancelled"
	default:
		return "this request has no answer"
	}
}
