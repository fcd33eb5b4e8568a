package keyring

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// Reread is how often the file of a key is looked at while calls are made.
const Reread = 5 * time.Second

// maxFile bounds a file of a key, in bytes.
const maxFile = 16 << 10

// file is where a key comes from.
type file struct {
	path   string
	looked time.Time
	failed bool
}

// read returns the key in the file. Errors name the path and never what is in it.
func (f *file) read() (string, error) {
	f.looked = time.Now()
	in, err := os.Open(f.path)
	if err != nil {
		return "", fmt.Errorf("read the key: %w", err)
	}
	defer func() { _ = in.Close() }()
	raw, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return "", fmt.Errorf("read the key: %w", err)
	}
	if len(raw) > maxFile {
		return "", fmt.Errorf("read the key: %s has more than %d bytes", f.path, maxFile)
	}
	value := strings.TrimRight(string(raw), "\r\n")
	if err := checkValue(value); err != nil {
		return "", fmt.Errorf("the key in %s %w", f.path, err)
	}
	return value, nil
}

// exposed says if the mode of the file lets others read the key, or change it.
func (f *file) exposed() error {
	const others = 0o027
	info, err := os.Stat(f.path)
	if err != nil || info.Mode().Perm()&others == 0 || runtime.GOOS == "windows" {
		return nil //nolint:nilerr // that it cannot be read is told elsewhere
	}
	return fmt.Errorf("%s has mode %#o: others may read or change it; expected such as 0600", f.path, info.Mode().Perm())
}

// Reload reads the files of all keys again and forgets what became of keys: all
// are good until the provider says otherwise.
func (r *Ring) Reload() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.keys {
		k.asides = nil
		if k.file != nil {
			r.reread(k)
		}
	}
}

// refresh looks at the files whose turn it is. One that cannot be read leaves
// its key as it was.
func (r *Ring) refresh(now time.Time) {
	for _, k := range r.keys {
		if k.file != nil && now.Sub(k.file.looked) >= Reread {
			r.reread(k)
		}
	}
}

// reread looks at the file of k. Problems are told once.
func (r *Ring) reread(k *key) {
	value, err := k.file.read()
	if err != nil {
		if !k.file.failed {
			r.observer.File(k.name, err)
		}
		k.file.failed = true
		return
	}
	k.file.failed = false
	if value != k.value {
		k.change(value)
	}
}
