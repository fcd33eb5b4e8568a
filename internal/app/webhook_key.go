package app

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/penstock-dev/penstock/storage/sealed"
)

// webhookKeyFile is the name of the key, in the data directory, that seals secrets of
// webhooks where there is no PENSTOCK_SECRET_KEY.
const webhookKeyFile = "webhook.key"

// localSecrets returns the key of an embedded process that seals the secrets of webhooks
// and nothing else, and makes it if there is none. With a PENSTOCK_SECRET_KEY none is
// made, and one that is there opens what it sealed. Others have none: they would not
// have the same.
func localSecrets(c Config) ([]sealed.Secret, error) {
	if c.Role != RoleEmbedded {
		return nil, nil
	}
	path := filepath.Join(c.DataDir, webhookKeyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if len(c.Secrets) > 0 {
			return nil, nil
		}
		text, err = makeKey(path)
	}
	if err != nil {
		return nil, wrong("PENSTOCK_DATA_DIR", "the key of webhooks: %v", err)
	}
	secrets, err := sealed.ParseSecrets(string(text))
	if err == nil && len(secrets) != 1 {
		err = fmt.Errorf("has %d keys, want 1", len(secrets))
	}
	if err != nil {
		return nil, wrong("PENSTOCK_DATA_DIR", "the key of webhooks, %s, is not as it was made: %v", path, err)
	}
	return secrets, nil
}

// makeKey writes a new key that only its owner can read, whole or not at all. One that
// another process has just made is not overwritten, but returned.
func makeKey(path string) ([]byte, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // does not fail: see crypto/rand
	f, err := os.CreateTemp(filepath.Dir(path), webhookKeyFile+".*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path)
}
