package sealed

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func secretOf(tb testing.TB, b byte) Secret {
	tb.Helper()
	list, err := ParseSecrets(written(b))
	if err != nil {
		tb.Fatal(err)
	}
	return list[0]
}

// written is a secret as operators write it.
func written(b byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, keySize))
}

func TestParseSecrets(t *testing.T) {
	t.Parallel()
	list, err := ParseSecrets(" " + written(1) + ", " + written(2) + "\n")
	if err != nil || len(list) != 2 || list[0].ID() == list[1].ID() || list[0].ID() != secretOf(t, 1).ID() {
		t.Errorf("two secrets: got %v, %v", list, err)
	}
	for _, none := range []string{"", "  "} {
		if list, err := ParseSecrets(none); list != nil || err != nil {
			t.Errorf("%q: got %v, %v, want none", none, list, err)
		}
	}
}

// What is wrong with a secret is said without quoting it.
func TestWrongSecretsAreNamedNotQuoted(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"hunter2!":                        "entry 1 is not base64",
		written(1) + ",":                  "entry 2 has 0 bytes",
		written(1) + "," + written(2)[4:]: "entry 2 has 29 bytes",
		"aHVudGVyMg==":                    "entry 1 has 7 bytes",
	} {
		_, err := ParseSecrets(given)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", given, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter") || strings.Contains(err.Error(), "aHVu")) {
			t.Errorf("the error quotes what was given: %v", err)
		}
	}
}

// A secret that gets into a log line shows its name at most.
func TestASecretDoesNotPrintItself(t *testing.T) {
	t.Parallel()
	s := secretOf(t, 'k')
	encoded, err := json.Marshal([]Secret{s})
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	all.Write(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&all, verb, s)
		fmt.Fprintf(&all, verb, []Secret{s})
		fmt.Fprintf(&all, verb, Config{Secrets: []Secret{s}})
	}
	for _, hint := range []string{"kkkk", written('k'), "6b6b6b", "0x6b, 0x6b", "107, 107", "107 107"} {
		if strings.Contains(all.String(), hint) {
			t.Errorf("%q shows in %s", hint, all.String())
		}
	}
}

// A wrapped key opens under its own secret, in its own row, and nowhere else.
func TestAWrappedKeyIsBoundToItsRow(t *testing.T) {
	t.Parallel()
	s, id := secretOf(t, 1), newID(t)
	wrapped := s.newDataKey(id, "acme")
	if key, err := s.unwrap(wrapped, id, "acme"); err != nil || len(key) != keySize {
		t.Fatalf("unwrap: %v", err)
	}
	if _, err := s.unwrap(wrapped, id, "other"); err == nil {
		t.Error("unwrapped as another tenant's")
	}
	if _, err := s.unwrap(wrapped, newID(t), "acme"); err == nil {
		t.Error("unwrapped as another key")
	}
	if _, err := secretOf(t, 2).unwrap(wrapped, id, "acme"); err == nil {
		t.Error("unwrapped under another secret")
	}
	if _, err := s.unwrap(nil, id, "acme"); err == nil {
		t.Error("unwrapped what is not there")
	}
	if bytes.Equal(wrapped, s.newDataKey(id, "acme")) {
		t.Error("two data keys are equal")
	}
}
