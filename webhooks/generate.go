package webhooks

import (
	"crypto/ed25519"
	"crypto/rand"
)

// newSecretBytes is how long the secrets made here are.
const newSecretBytes = 32

// NewSecret returns a new shared secret of 32 random bytes, in the form that [ParseKey]
// reads.
func NewSecret() string {
	secret := make([]byte, newSecretBytes)
	_, _ = rand.Read(secret) // does not fail: see crypto/rand
	return prefixSecret + encoding.EncodeToString(secret)
}

// NewPrivateKey returns a new private key, in the form that [ParseKey] reads.
// [Key.Public] is what receivers need of it.
func NewPrivateKey() string {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed)
	return prefixPrivate + encoding.EncodeToString(ed25519.NewKeyFromSeed(seed))
}
