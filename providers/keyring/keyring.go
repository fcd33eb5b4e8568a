// Package keyring holds the API keys of one provider and says which of them a
// call uses: the first that is good. A key that the provider no longer takes
// is put aside and the next one is used, within the same call.
//
// Calls are not spread over the keys. Prompt caches and limits belong to the
// account of a key, so a call is best made with the key of the one before it;
// and the order says which account is to pay first.
package keyring

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// MaxKeys bounds the keys of a ring.
const MaxKeys = 16

// Key says where a key is: here, or in a file.
type Key struct {
	// Name tells the key from others in logs, such as its place in the
	// configuration. It is not secret.
	Name string
	// Value is the key itself. Empty: it is in File.
	Value providers.Secret
	// File holds the key and nothing else; a line break at its end is not part
	// of it. It is looked at again every [Reread], and when the provider refuses
	// the key that was in it.
	File string
}

// Config says which keys there are. None is as good as one: the calls then
// carry no key.
type Config struct {
	Keys     []Key
	Observer Observer
}

// Observer is told what happens to keys. Each field may be nil. They are called
// by the calls that notice it, one at a time, and must not wait.
type Observer struct {
	// SetAside: the provider did not take the key for a model, until when it is
	// not used for it; or, with neither model nor time, not at all, and then
	// only other keys help. One of several refusals at once is told.
	SetAside func(name string, class providers.Class, model string, until time.Time)
	// Restored: a key that had been put aside was tried again and taken.
	Restored func(name, model string)
	// File: the file of a key cannot be read, and what was in it before goes on
	// being used; or its mode lets others read it.
	File func(name string, problem error)
}

// Ring is the keys of one provider. It is safe for use by many goroutines. No
// verb of fmt finds a key in it.
type Ring struct {
	observer Observer

	mu   sync.Mutex
	keys []*key // at least one; a single empty one stands for none
}

var _ fmt.Formatter = (*Ring)(nil)

// New returns a ring of the keys of config, with its files read. The error
// names the key that makes no sense, and quotes none.
func New(config Config) (*Ring, error) {
	if len(config.Keys) > MaxKeys {
		return nil, fmt.Errorf("expected at most %d keys, got %d", MaxKeys, len(config.Keys))
	}
	r := &Ring{observer: config.Observer.withDefaults()}
	for _, c := range config.Keys {
		k, err := newKey(c, &r.observer)
		if err != nil {
			return nil, &KeyError{Name: c.Name, Err: err}
		}
		r.keys = append(r.keys, k)
	}
	if len(r.keys) == 0 {
		r.keys = []*key{{}}
	}
	return r, nil
}

// KeyError is a key that cannot be used.
type KeyError struct {
	Name string
	Err  error
}

// Error says the key's name and what is wrong with it.
func (e *KeyError) Error() string { return e.Name + ": " + e.Err.Error() }

// Unwrap returns what is wrong with the key.
func (e *KeyError) Unwrap() error { return e.Err }

// checkValue refuses what no header can carry. It does not quote it.
func checkValue(value string) error {
	if value == "" {
		return errors.New("is empty")
	}
	if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return errors.New("contains a character no header can carry, such as a line break")
	}
	return nil
}

// Scrub takes the keys out of s: some servers quote the key they refuse.
func (r *Ring) Scrub(s string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.keys {
		s = k.scrub(s)
	}
	return s
}

// String says how many keys there are.
func (r *Ring) String() string { return fmt.Sprintf("keyring of %d", r.size()) }

// Format writes String for every verb, so that no verb prints a key.
func (r *Ring) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(r.String())) }

func (r *Ring) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.keys) == 1 && r.keys[0].value == "" {
		return 0
	}
	return len(r.keys)
}

func (o Observer) withDefaults() Observer {
	if o.SetAside == nil {
		o.SetAside = func(string, providers.Class, string, time.Time) {}
	}
	if o.Restored == nil {
		o.Restored = func(string, string) {}
	}
	if o.File == nil {
		o.File = func(string, error) {}
	}
	return o
}
