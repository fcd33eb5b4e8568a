package app

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"os"
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

// fileStack configures an embedded process.
func fileStack(t *testing.T) Config {
	t.Helper()
	dir := t.TempDir()
	c := Config{
		Role: RoleEmbedded, Addr: "127.0.0.1:0", PublicURL: "http://penstock.test", DataDir: dir,
		DatabaseURL: "sqlite://" + filepath.Join(dir, "penstock.db"), File: embeddedFile(),
	}
	c.File.fillDefaults()
	return c
}

func buildFileStack(t *testing.T, c Config) *parts {
	t.Helper()
	p, err := build(t.Context(), c, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.close() })
	return p
}

func uploadTo(t *testing.T, p *parts, content string) files.File {
	t.Helper()
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
	c := fileStack(t)
	c.Secrets = sealedtest.Config(t, 1).Secrets
	p := buildFileStack(t, c)
	before := uploadTo(t, p, "before")
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	c.File.Files.URL = "s3://penstock/files?endpoint=" + server.URL
	p = buildFileStack(t, c)
	there := uploadTo(t, p, "a secret question")
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

// With a secret nothing of a file is in plain on the disk. Without one it is, which shows
// that the test would find it.
func TestFilesAreSealedAtRest(t *testing.T) {
	t.Parallel()
	const marker = "zq7marker"
	for name, sealed := range map[string]bool{"sealed": true, "plain": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fileStack(t)
			if sealed {
				c.Secrets = sealedtest.Config(t, 1).Secrets
			}
			p := buildFileStack(t, c)
			uploadTo(t, p, strings.Repeat(marker+" question\n", 200_000))
			kept, err := filepath.Glob(filepath.Join(c.DataDir, "*"))
			if err != nil || len(kept) == 0 {
				t.Fatalf("list files: %v, %v", kept, err)
			}
			var found int
			for _, path := range kept {
				raw, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				found += bytes.Count(raw, []byte(marker))
			}
			if sealed && found > 0 || !sealed && found < 200_000 {
				t.Errorf("found the marker %d times", found)
			}
		})
	}
}
