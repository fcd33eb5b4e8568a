package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// keySize is the size of secrets and of data keys: AES-256.
const keySize = 32

// Secret is a key-encryption key: data keys are wrapped under it. It does not
// print itself.
type Secret struct {
	id   string
	aead cipher.AEAD
}

// ID names the secret, and does not tell it: the first 16 hex digits of its
// SHA-256.
func (s Secret) ID() string { return s.id }

// String returns the name.
func (s Secret) String() string { return "secret " + s.id }

// ParseSecrets reads secrets as operators write them: each 32 bytes in base64,
// separated by commas. The first wraps, all unwrap. Nothing yields none. The
// error does not quote what was given.
func ParseSecrets(list string) ([]Secret, error) {
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	var secrets []Secret
	for i, word := range strings.Split(list, ",") {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(word))
		if err != nil {
			return nil, fmt.Errorf("entry %d is not base64: expected 32 bytes as `openssl rand -base64 32` prints them", i+1)
		}
		if len(key) != keySize {
			return nil, fmt.Errorf("entry %d has %d bytes: expected base64 of %d", i+1, len(key), keySize)
		}
		sum := sha256.Sum256(key)
		secrets = append(secrets, Secret{id: hex.EncodeToString(sum[:8]), aead: newAEAD(key)})
	}
	return secrets, nil
}

// newAEAD returns AES-256-GCM with nonces that it draws itself. At 2³² messages
// under one key two share a nonce with a chance of 2⁻³³.
func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err == nil {
		var aead cipher.AEAD
		if aead, err = cipher.NewGCMWithRandomNonce(block); err == nil {
			return aead
		}
	}
	panic(fmt.Sprintf("AES-256-GCM: %v", err)) // the key has 32 bytes
}

// newDataKey draws a data key and returns it wrapped.
func (s Secret) newDataKey(id uuid.UUID, tenant string) []byte {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // does not fail: see crypto/rand
	return s.wrap(key, id, tenant)
}

func (s Secret) wrap(key []byte, id uuid.UUID, tenant string) []byte {
	return s.aead.Seal(nil, nil, key, wrapContext(id, tenant)) //nolint:gosec // no nonce: it draws one itself
}

var errNotUnwrapped = &lostError{"the wrapped key is not the one that was kept for this tenant"}

func (s Secret) unwrap(wrapped []byte, id uuid.UUID, tenant string) ([]byte, error) {
	key, err := s.aead.Open(nil, nil, wrapped, wrapContext(id, tenant))
	if err != nil || len(key) != keySize {
		return nil, errNotUnwrapped
	}
	return key, nil
}

// wrapContext binds a wrapped key to its row.
func wrapContext(id uuid.UUID, tenant string) []byte {
	return append(append([]byte("penstock data key 1\x00"), id[:]...), tenant...)
}
