package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/canonical"
)

// checker says of lines what is wrong with them. It is safe for use by many goroutines.
type checker struct {
	batch batches.Batch
	// request says what is wrong with a request, and takes its hash.
	request func(jobs.NewJob) ([32]byte, error)
	// panicked is told of a panic in it.
	panicked func(value any, stack []byte)
}

// check returns what is kept of a line, or what is wrong with it.
func (c *checker) check(r raw) (l batches.Line, problem *batches.Problem) {
	defer func() {
		if v := recover(); v != nil {
			c.panicked(v, debug.Stack())
			problem = wrong(r, batches.CodeUnchecked, "", "the line could not be checked")
		}
	}()
	l = batches.Line{N: r.n, Offset: r.offset, Length: len(r.text), State: batches.LinePending}
	switch {
	case r.flaw == batches.CodeLineTooLong:
		return l, wrong(r, r.flaw, "", "the line is longer than %d bytes", batches.MaxLine)
	case r.flaw != "":
		return l, wrong(r, r.flaw, "", "the line is empty")
	case !utf8.Valid(r.text):
		return l, wrong(r, batches.CodeInvalidUTF8, "", "the line is not valid UTF-8")
	}
	all, err := canonical.Members(r.text)
	if err != nil {
		return l, unreadable(r, err)
	}
	problem = c.fields(r, fieldsOf(all), &l)
	return l, problem
}

// fields are those of a line, raw; nil: not there.
type fields struct{ customID, method, url, body json.RawMessage }

func fieldsOf(all []canonical.Member) (f fields) {
	for _, m := range all {
		switch m.Key {
		case "custom_id":
			f.customID = m.Raw
		case "method":
			f.method = m.Raw
		case "url":
			f.url = m.Raw
		case "body":
			f.body = m.Raw
		}
	}
	return f
}

func (c *checker) fields(r raw, f fields, l *batches.Line) *batches.Problem {
	if f.customID == nil || string(f.customID) == "null" {
		return wrong(r, batches.CodeMissingCustomID, "/custom_id", "is required")
	}
	id, ok := text(f.customID)
	if !ok || id == "" || len(id) > batches.MaxCustomID || strings.ContainsRune(id, 0) {
		return wrong(r, batches.CodeInvalidCustomID, "/custom_id", "must be a string of 1 to %d bytes, without NUL", batches.MaxCustomID)
	}
	l.CustomID = id
	if method, _ := text(f.method); method != "POST" {
		return wrong(r, batches.CodeInvalidMethod, "/method", "must be POST")
	}
	if url, _ := text(f.url); url != c.batch.Endpoint {
		return wrong(r, batches.CodeInvalidURL, "/url", "must be the endpoint of the batch, %s", c.batch.Endpoint)
	}
	if f.body == nil || string(f.body) == "null" {
		return wrong(r, batches.CodeMissingBody, "/body", "is required")
	}
	var err error
	l.Hash, err = c.request(c.batch.Job(f.body))
	return refused(r, err)
}

// text returns what a string says; false: it is none.
func text(field json.RawMessage) (says string, ok bool) {
	if len(field) == 0 || field[0] != '"' || json.Unmarshal(field, &says) != nil {
		return "", false
	}
	return says, true
}

// refused puts into words of a line what is wrong with its request.
func refused(r raw, err error) *batches.Problem {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*jobs.Error](err)
	if !ok {
		return wrong(r, batches.CodeUnchecked, "/body", "the line could not be checked")
	}
	pointer := e.Pointer
	if rest, ok := strings.CutPrefix(pointer, "/request"); ok {
		pointer = "/body" + rest
	}
	return wrong(r, string(e.Code), pointer, "%s", e.Message)
}

// unreadable says why a line has no canonical form.
func unreadable(r raw, err error) *batches.Problem {
	e, ok := errors.AsType[*canonical.Error](err)
	if !ok {
		return wrong(r, batches.CodeInvalidJSONLine, "", "not valid JSON")
	}
	code := batches.CodeInvalidJSONLine
	if !e.Syntax && strings.HasPrefix(e.Pointer, "/body/") {
		code = string(jobs.CodeInvalidField)
	}
	return wrong(r, code, e.Pointer, "%s", e.Reason)
}

func wrong(r raw, code, param, format string, args ...any) *batches.Problem {
	return &batches.Problem{Line: r.n, Code: code, Param: param, Message: fmt.Sprintf(format, args...)}
}
