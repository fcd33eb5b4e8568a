package keyring_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/keyring"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAFileIsReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "key")
		write(t, path, "first-key\n")
		r := newRig(t, keyring.Key{Name: "a", File: path})
		r.wantCall("m", nil, "first-key", "")
		write(t, path, "second-key\r\n")
		time.Sleep(keyring.Reread - 1)
		r.wantCall("m", nil, "first-key", "")
		time.Sleep(time.Nanosecond)
		r.wantCall("m", nil, "second-key", "")
		if got := r.Scrub("first-key second-key"); got != "[secret] [secret]" {
			t.Errorf("got %q", got)
		}
	})
}

// A key that was exchanged in its file at the moment it is refused costs no
// call, and what was said of the old one does not count for the new.
func TestARefusedFileIsReadAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "key")
		write(t, path, "first-key")
		r := newRig(t, keyring.Key{Name: "a", File: path}, keyring.Key{Name: "b", Value: "key-b"})
		r.wantCall("m", refusing(providers.Authentication, "first-key"), "first-key key-b", "")
		r.wantTold("a authentication  for ever")
		r.wantCall("m", nil, "key-b", "")
		write(t, path, "second-key")
		time.Sleep(keyring.Reread)
		r.wantCall("m", nil, "second-key", "")
		write(t, path, "third-key")
		r.wantCall("m", refusing(providers.Authentication, "second-key"), "second-key third-key", "")
		r.wantTold()
	})
}

func TestAFileThatGoesAwayIsToldOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "key")
		write(t, path, "first-key")
		r := newRig(t, keyring.Key{Name: "a", File: path})
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(keyring.Reread)
			r.wantCall("m", nil, "first-key", "")
		}
		if len(r.told) != 1 || !strings.Contains(r.told[0], "no such file") {
			t.Errorf("the observer was told %q, want one line that says so", r.told)
		}
		r.told = nil
		write(t, path, "second-key")
		time.Sleep(keyring.Reread)
		r.wantCall("m", nil, "second-key", "")
		write(t, path, "\n")
		time.Sleep(keyring.Reread)
		r.wantCall("m", nil, "second-key", "")
		if len(r.told) != 1 || !strings.Contains(r.told[0], "is empty") {
			t.Errorf("the observer was told %q, want one line that says so", r.told)
		}
	})
}

func TestAModeThatLetsOthersReadIsSaid(t *testing.T) {
	t.Parallel()
	for mode, said := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: false, 0o644: true, 0o660: true, 0o604: true} {
		path := filepath.Join(t.TempDir(), "key")
		write(t, path, "first-key")
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		r := newRig(t, keyring.Key{Name: "a", File: path})
		if (len(r.told) == 1 && strings.Contains(r.told[0], "0600")) != said {
			t.Errorf("mode %#o: the observer was told %q, want one line: %v", mode, r.told, said)
		}
	}
}

func TestAFileWithoutAKeyIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"is empty": "\n", "no header can carry": "hunter2\nhunter2", "more than 16384 bytes": strings.Repeat("hunter2", 1<<12),
	} {
		path := filepath.Join(dir, "key")
		write(t, path, content)
		_, err := keyring.New(keyring.Config{Keys: []keyring.Key{{Name: "a", File: path}}})
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v, want %q", err, name)
		}
	}
	if _, err := keyring.New(keyring.Config{Keys: []keyring.Key{{Name: "a", File: dir + "/none"}}}); err == nil {
		t.Error("a file that is not there is taken")
	}
}
