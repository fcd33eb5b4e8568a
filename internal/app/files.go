package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/files/bucket"
	"github.com/penstock-dev/penstock/jobs"
)

// FilesConfig is where the bytes of files are, and how many one may have.
type FilesConfig struct {
	// URL is a bucket, such as s3://bucket/prefix?region=eu-central-1, or with an endpoint
	// such as &endpoint=https://minio.internal:9000; empty: the store keeps them.
	URL string `yaml:"url"`
	// MaxBytes is how many bytes a file may have; 0: 512 MiB.
	MaxBytes int64 `yaml:"max_bytes"`
}

// expand puts in environment variables.
func (c *FilesConfig) expand(getenv func(string) string) (err error) {
	if c.URL, err = expand(c.URL, getenv); err != nil {
		return wrong("files.url", "%v", err)
	}
	return nil
}

func (c *FilesConfig) validate() error {
	if c.MaxBytes < 0 {
		return wrong("files.max_bytes", "expected at least 1, got %d", c.MaxBytes)
	}
	if c.URL == "" {
		return nil
	}
	if _, err := c.bucket(); err != nil {
		return wrong("files.url", "%v", err)
	}
	return nil
}

func (c *FilesConfig) bucket() (*bucket.Bucket, error) {
	at, err := bucket.Parse(c.URL)
	if err != nil {
		return nil, err
	}
	return bucket.Open(at)
}

// buildFiles makes what takes files in. A bucket that does not answer yet is no reason not
// to start.
func (p *parts) buildFiles(ctx context.Context, c Config, stores kept, log zerolog.Logger) (err error) {
	cfg := files.Config{Store: stores.files, Retention: c.File.Retention, MaxBytes: c.File.Files.MaxBytes}
	if p.redact != nil {
		cfg.Redact = lineRedactor{p.redact}.redact
	}
	if c.File.Files.URL != "" {
		b, err := c.File.Files.bucket()
		if err != nil {
			return wrong("files.url", "%v", err)
		}
		cfg.Bucket = stores.sealer.Bucket(b)
		checkBucket(ctx, b, log)
	}
	p.files, err = files.NewService(cfg)
	return err
}

// checkBucket says so when the bucket cannot be used now.
func checkBucket(ctx context.Context, b *bucket.Bucket, log zerolog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := b.Check(ctx); err != nil {
		log.Warn().Str("key", "files.url").Err(err).Msg("does not serve now: files cannot be uploaded or read until it does")
	}
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
