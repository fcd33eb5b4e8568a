package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"

	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
)

// buildFiles makes what takes files in.
func (p *parts) buildFiles(c Config, store files.Store) (err error) {
	cfg := files.Config{Store: store, Retention: c.File.Retention}
	if p.redact != nil {
		cfg.Redact = lineRedactor{p.redact}.redact
	}
	p.files, err = files.NewService(cfg)
	return err
}

// lineRedactor redacts the lines of files for batches as it does submissions.
type lineRedactor struct{ jobs.Redactor }

// line is one request of a batch.
type line struct {
	CustomID string          `json:"custom_id"`
	Method   string          `json:"method"`
	URL      string          `json:"url"`
	Body     json.RawMessage `json:"body"`
}

var errNoLine = jobs.Invalid("/file", `expected an object with the texts custom_id, method and url, and the object body, and no more`)

// redact returns the line with its body redacted. What is beside the body must not be
// changed, for callers find their answers by it: where something would be, the line is refused.
func (r lineRedactor) redact(ctx context.Context, tenant string, text []byte) ([]byte, error) {
	l, err := parseLine(text)
	if err != nil {
		return nil, err
	}
	beside := map[string]string{"custom_id": l.CustomID, "method": l.Method, "url": l.URL}
	sent, err := r.Redact(ctx, jobs.Sent{Tenant: tenant, Endpoint: l.URL, Request: l.Body, Metadata: maps.Clone(beside)})
	if err != nil {
		return nil, err
	}
	if !maps.Equal(sent.Metadata, beside) {
		return nil, jobs.Invalid("/file", "custom_id, method or url has what may not be kept")
	}
	before, err := modelOf(l.Body)
	if err != nil {
		return nil, errNoLine
	}
	if after, err := modelOf(sent.Request); err != nil || !bytes.Equal(before, after) {
		return nil, errors.New("the redacted request is none, or names another model")
	}
	l.Body = sent.Request
	return l.encode()
}

// encode writes the line with the body as it is.
func (l line) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(l)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

func parseLine(text []byte) (line, error) {
	var l line
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&l); err != nil || !json.Valid(text) || len(l.Body) == 0 || l.Body[0] != '{' {
		return line{}, errNoLine
	}
	return l, nil
}

// modelOf returns the model that a request names, as it stands there.
func modelOf(request json.RawMessage) (json.RawMessage, error) {
	var r struct {
		Model json.RawMessage `json:"model"`
	}
	err := json.Unmarshal(request, &r)
	return r.Model, err
}
