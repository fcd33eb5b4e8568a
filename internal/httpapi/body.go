package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/canonical"
)

// readJSON returns the request's body, which must say that it is JSON, fit
// into MaxBody and arrive within BodyTimeout. What is read is counted.
func (a *API) readJSON(x *exchange, counted *share) ([]byte, error) {
	if err := checkContent(x.Request().Header); err != nil {
		return nil, err
	}
	body, err := a.readBody(x, a.cfg.MaxBody, counted)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, jobs.Invalid("", "the body is empty; send a JSON object")
	}
	return body, nil
}

// readSmall returns a body of at most limit bytes. It is JSON that has a canonical form,
// or there is none.
func (a *API) readSmall(x *exchange, limit int64) ([]byte, error) {
	counted := &share{of: &a.bodies}
	defer counted.giveBack()
	body, err := a.readBody(x, limit, counted)
	if err != nil || len(bytes.TrimSpace(body)) == 0 {
		return nil, err
	}
	if err := checkContent(x.Request().Header); err != nil {
		return nil, err
	}
	if _, err := canonical.JSON(body); err != nil {
		return nil, notJSON(err)
	}
	return body, nil
}

// readNothing refuses a body where none is looked at. An empty object counts
// as none: some clients cannot send less.
func (a *API) readNothing(x *exchange) error {
	const enough = 1 << 10
	counted := &share{of: &a.bodies}
	defer counted.giveBack()
	body, err := a.readBody(x, enough, counted)
	if err != nil {
		return err
	}
	if body = bytes.TrimSpace(body); len(body) > 0 && string(body) != "{}" {
		return jobs.Invalid("", "this request takes no body")
	}
	return nil
}

func (a *API) readBody(x *exchange, limit int64, counted *share) ([]byte, error) {
	r := x.Request()
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	body, err := io.ReadAll(counted.reader(http.MaxBytesReader(x.Response().Writer, r.Body, limit)))
	if err == nil {
		// The body's deadline is the connection's: waiting for a job may take
		// longer.
		_ = http.NewResponseController(x.Response().Writer).SetReadDeadline(time.Time{})
		return body, nil
	}
	return nil, bodyError(err, limit, a.cfg.BodyTimeout)
}

// bodyError says what went wrong with reading a body.
func bodyError(err error, limit int64, timeout time.Duration) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(limit)
	}
	if errors.Is(err, errTooManyBodies) {
		return err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return jobs.Invalid("", "the body did not arrive within %s", timeout)
	}
	return &jobs.Error{Code: jobs.CodeInvalidField, Message: "the body did not arrive whole", Err: err}
}

func tooLarge(limit int64) error {
	return &jobs.Error{Code: codeBodyTooLarge, Message: fmt.Sprintf("the body may have at most %d bytes", limit)}
}

// checkContent refuses what is not plain JSON in UTF-8. A form, which is what
// curl -d sends by itself, is told how to say JSON.
func checkContent(h http.Header) error {
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return jobs.Invalid("", "the header Content-Encoding is not supported; send the body as it is")
	}
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return jobs.Invalid("", "the body must be JSON; send it with the header Content-Type: application/json")
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return jobs.Invalid("", "the body must be in UTF-8")
	}
	return nil
}
