package app

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/redact"
	"github.com/penstock-dev/penstock/storage/sealed/sealedtest"
)

func newLineRedactor(t *testing.T, rules ...redact.Rule) lineRedactor {
	t.Helper()
	r, err := redact.NewRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	return lineRedactor{r}
}

// Of a line of a batch the body is redacted, and nothing of what was there twice is kept.
func TestLinesAreRedacted(t *testing.T) {
	t.Parallel()
	r := newLineRedactor(t, redact.Rule{Pattern: `\d{4}`, Replace: "*"})
	for sent, want := range map[string]string{
		`{"custom_id":"a","method":"POST","url":"/v1/x","body":{"model":"m-2024","messages":["call 1234"]}}`: `{"custom_id":"a","method":"POST","url":"/v1/x","body":{"model":"m-2024","messages":["call *"]}}`,
		`{"body":{"a":"5678"}, "body":{"a":"<1234>"}, "custom_id":"5678","custom_id":"b"}`:                   `{"custom_id":"b","method":"","url":"","body":{"a":"<*>"}}`,
	} {
		got, err := r.redact(t.Context(), "acme", []byte(sent))
		if err != nil || string(got) != want {
			t.Errorf("%s:\n got %s, %v\nwant %s", sent, got, err, want)
		}
	}
}

// What cannot be redacted in all its parts is refused, and not quoted.
func TestLinesThatCannotBeRedactedAreRefused(t *testing.T) {
	t.Parallel()
	r := newLineRedactor(t, redact.Rule{Pattern: `\d{4}`, Replace: "*"})
	for _, sent := range []string{
		`1234`, `not JSON 1234`, `[]`, `{"body":{}} {"body":{}}`, `{"body":{}}}`, `{"body":"1234"}`, `{"custom_id":"a"}`,
		`{"body":{},"more":"1234"}`, `{"custom_id":1234,"body":{}}`,
		`{"custom_id":"call 1234","body":{}}`, `{"url":"/1234","body":{}}`, `{"method":"1234","body":{}}`,
	} {
		got, err := r.redact(t.Context(), "acme", []byte(sent))
		if !errors.Is(err, &jobs.Error{Code: jobs.CodeInvalidField}) || got != nil || strings.Contains(err.Error(), "1234") {
			t.Errorf("%s: got %s, %v, want it refused", sent, got, err)
		}
	}
}

// remodel is a redactor that changes the model.
type remodel struct{}

func (remodel) Redact(_ context.Context, s jobs.Sent) (jobs.Sent, error) {
	s.Request = []byte(`{"model":"other"}`)
	return s, nil
}

func TestARedactedLineNamesTheSameModel(t *testing.T) {
	t.Parallel()
	_, err := lineRedactor{remodel{}}.redact(t.Context(), "acme", []byte(`{"body":{"model":"m"}}`))
	if err == nil || errors.Is(err, &jobs.Error{Code: jobs.CodeInvalidField}) {
		t.Errorf("got %v, want a failure that is not the caller's", err)
	}
}

// Files go to the configured bucket, sealed, and come back from there; those in the store
// come back all the same.
func TestFilesGoToTheBucket(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "penstock")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "penstock")
	objects := s3mem.New()
	if err := objects.CreateBucket("penstock"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(objects).Server())
	t.Cleanup(server.Close)
	dir := t.TempDir()
	secrets := sealedtest.Config(t, 1).Secrets
	begin := func(f FilesConfig) *parts {
		c := Config{
			Role: RoleEmbedded, Addr: "127.0.0.1:0", PublicURL: "http://penstock.test", DataDir: dir,
			DatabaseURL: "sqlite://" + filepath.Join(dir, "penstock.db"), Secrets: secrets, File: embeddedFile(),
		}
		c.File.Files = f
		c.File.fillDefaults()
		p, err := build(t.Context(), c, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	upload := func(p *parts, content string) files.File {
		w, err := p.files.Create(t.Context(), files.New{Tenant: "acme", Name: "a", Purpose: files.PurposeBatch})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
		f, err := w.Commit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	p := begin(FilesConfig{})
	before := upload(p, "before")
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	p = begin(FilesConfig{URL: "s3://penstock/files?endpoint=" + server.URL})
	t.Cleanup(func() { _ = p.close() })
	there := upload(p, "a secret question")
	for f, want := range map[files.File]string{before: "before", there: "a secret question"} {
		if got, err := io.ReadAll(p.files.Open(t.Context(), "acme", f)); err != nil || string(got) != want {
			t.Errorf("read: got %q, %v, want %q", got, err, want)
		}
	}
	o, err := objects.GetObject("penstock", "files/"+there.ID.String()+"/000000", nil)
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := io.ReadAll(o.Contents); err != nil || bytes.Contains(kept, []byte("question")) {
		t.Errorf("in the bucket: got %q, %v", kept, err)
	}
}
