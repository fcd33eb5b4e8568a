package files_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
)

// redacting replaces secret, and refuses lines that say refuse.
func redacting(c *files.Config) {
	c.Redact = func(_ context.Context, tenant string, line []byte) ([]byte, error) {
		switch {
		case tenant != acme || bytes.ContainsAny(line, "\r\n"):
			return nil, errors.New("that is no line of acme's")
		case bytes.Contains(line, []byte("refuse")):
			return nil, jobs.Invalid("/file", "is refused")
		case bytes.Contains(line, []byte("break")):
			return nil, errors.New("it is down")
		case bytes.Contains(line, []byte("split")):
			return []byte("one\ntwo"), nil
		}
		return bytes.ReplaceAll(line, []byte("secret"), []byte("*")), nil
	}
}

func TestUploadsAreRedactedLineByLine(t *testing.T) {
	t.Parallel()
	r := newRig(t, redacting)
	for sent, want := range map[string]string{
		"":                                "",
		"a secret\nno more\n":             "a *\nno more\n",
		"a secret\r\n\n  \r\nsecret last": "a *\n\n\n* last",
	} {
		for _, piece := range []int{1, 3, 100} {
			r.reads(r.upload([]byte(sent), piece), []byte(want))
		}
	}
	long := strings.Repeat("x secret ", 300_000) + "\n"
	r.reads(r.upload([]byte(long), 10_000), []byte(strings.ReplaceAll(long, "secret", "*")))
}

// What cannot be redacted is not kept: the caller learns which line it was.
func TestWhatCannotBeRedactedIsNotKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, redacting)
	for sent, want := range map[string]*jobs.Error{
		"fine\nrefuse\n":             {Code: jobs.CodeInvalidField, Message: "line 2: is refused"},
		"fine\nrefuse":               {Code: jobs.CodeInvalidField, Message: "line 2: is refused"},
		"break\n":                    {Code: jobs.CodeRedactionUnavailable, Message: "the file could not be redacted, so it was not kept: upload it again"},
		"split\n":                    {Code: jobs.CodeRedactionUnavailable, Message: "the file could not be redacted, so it was not kept: upload it again"},
		strings.Repeat("x", 8<<20+1): {Code: jobs.CodeInvalidField, Message: "line 1 has more than 8388608 bytes"},
	} {
		w := r.create()
		_, err := w.Write([]byte(sent))
		if err == nil {
			_, err = w.Commit(t.Context())
		} else if _, again := w.Commit(t.Context()); again == nil {
			t.Errorf("%.20q: committed after a write that failed", sent)
		}
		e, ok := errors.AsType[*jobs.Error](err)
		if !ok || e.Code != want.Code || e.Message != want.Message {
			t.Errorf("%.20q: got %v, want %v", sent, err, want)
		}
	}
	r.none()
}

// Lines that grow count with the bytes that they have grown to.
func TestRedactedBytesCount(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *files.Config) {
		c.MaxBytes = 100
		c.Redact = func(context.Context, string, []byte) ([]byte, error) { return make([]byte, 60), nil }
	})
	w := r.create()
	_, err := w.Write([]byte("a\nb\n"))
	r.mustBe(err, &jobs.Error{Code: files.CodeTooLarge}, "120 bytes")
	w.Abort()
}

// However little is left of them, so many bytes are not read.
func TestBytesCountAsTheyAreSent(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *files.Config) {
		c.MaxBytes = 100
		c.Redact = func(context.Context, string, []byte) ([]byte, error) { return nil, nil }
	})
	w := r.create()
	_, err := w.Write([]byte(strings.Repeat("a", 98) + "\nb"))
	r.must(err)
	_, err = w.Write([]byte("c"))
	r.mustBe(err, &jobs.Error{Code: files.CodeTooLarge}, "101 bytes of which one is left")
	w.Abort()
}
