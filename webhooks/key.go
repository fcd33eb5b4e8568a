package webhooks

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// The forms of a key, and the version of the signatures each makes or checks.
const (
	prefixSecret  = "whsec_" // shared secret
	prefixPrivate = "whsk_"  // ed25519 private key
	prefixPublic  = "whpk_"  // ed25519 public key

	versionHMAC    = "v1"
	versionEd25519 = "v1a"
)

// A shared secret is as long as Standard Webhooks asks for, in bytes.
const (
	minSecretBytes = 24
	maxSecretBytes = 64
)

// encoding is strict: one key and one signature have one form.
var encoding = base64.StdEncoding.Strict()

// Key signs messages, verifies them, or both. Get one from [ParseKey]; the zero
// Key does neither. It prints without its secret.
type Key struct {
	secret  []byte             // for v1
	private ed25519.PrivateKey // for v1a; nil in a public key
	public  ed25519.PublicKey  // for v1a
}

// ParseKey reads a key in one of the forms of Standard Webhooks, base64 after
// the prefix:
//
//   - whsec_ and 24 to 64 bytes: a shared secret, which signs and verifies v1
//     (HMAC-SHA256)
//   - whsk_ and 64 bytes, seed and public half: a private key, which signs and
//     verifies v1a (ed25519)
//   - whpk_ and 32 bytes: a public key, which verifies v1a
//
// Errors do not quote the key.
func ParseKey(text string) (Key, error) {
	for prefix, parse := range map[string]func([]byte) (Key, error){
		prefixSecret:  parseSecret,
		prefixPrivate: parsePrivate,
		prefixPublic:  parsePublic,
	} {
		encoded, ok := strings.CutPrefix(text, prefix)
		if !ok {
			continue
		}
		raw, err := encoding.DecodeString(encoded)
		if err != nil || strings.ContainsAny(encoded, "\r\n") {
			return Key{}, fmt.Errorf("webhook key: what follows %s is not base64", prefix)
		}
		return parse(raw)
	}
	return Key{}, fmt.Errorf("webhook key: expected %s, %s or %s and base64", prefixSecret, prefixPrivate, prefixPublic)
}

func parseSecret(raw []byte) (Key, error) {
	if len(raw) < minSecretBytes || len(raw) > maxSecretBytes {
		return Key{}, fmt.Errorf("webhook key: a secret of %d bytes, expected %d to %d", len(raw), minSecretBytes, maxSecretBytes)
	}
	return Key{secret: raw}, nil
}

// parsePrivate derives the public half again: signing with a half that is not
// the seed's would give the seed away.
func parsePrivate(raw []byte) (Key, error) {
	if len(raw) != ed25519.PrivateKeySize {
		return Key{}, fmt.Errorf("webhook key: a private key of %d bytes, expected %d", len(raw), ed25519.PrivateKeySize)
	}
	private := ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
	if !bytes.Equal(private, raw) {
		return Key{}, errors.New("webhook key: the halves of the private key do not belong together")
	}
	return Key{private: private, public: ed25519.PublicKey(raw[ed25519.SeedSize:])}, nil
}

func parsePublic(raw []byte) (Key, error) {
	if len(raw) != ed25519.PublicKeySize {
		return Key{}, fmt.Errorf("webhook key: a public key of %d bytes, expected %d", len(raw), ed25519.PublicKeySize)
	}
	return Key{public: raw}, nil
}

// Public returns the text of the key that verifies what k signs, to hand to
// receivers, and false if k is a shared secret.
func (k Key) Public() (string, bool) {
	if k.public == nil {
		return "", false
	}
	return prefixPublic + encoding.EncodeToString(k.public), true
}

// String names the kind of key and nothing secret of it.
func (k Key) String() string {
	switch {
	case k.secret != nil:
		return prefixSecret + "***"
	case k.private != nil:
		return prefixPrivate + "***"
	case k.public != nil:
		return prefixPublic + encoding.EncodeToString(k.public)
	default:
		return "no webhook key"
	}
}

// Format prints [Key.String] under every verb of fmt, %#v and %x too.
func (k Key) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte(k.String())) }

// sign returns one signature with its version.
func (k Key) sign(message []byte) (string, error) {
	switch {
	case k.secret != nil:
		return versionHMAC + "," + encoding.EncodeToString(k.mac(message)), nil
	case k.private != nil:
		return versionEd25519 + "," + encoding.EncodeToString(ed25519.Sign(k.private, message)), nil
	default:
		return "", fmt.Errorf("%s cannot sign", k)
	}
}

// verify reports whether candidate, with its version, is k's over message.
func (k Key) verify(message []byte, candidate string) bool {
	version, encoded, _ := strings.Cut(candidate, ",")
	signature, err := encoding.DecodeString(encoded)
	if err != nil {
		return false
	}
	switch {
	case version == versionHMAC && k.secret != nil:
		return hmac.Equal(signature, k.mac(message))
	case version == versionEd25519 && k.public != nil:
		return ed25519.Verify(k.public, message, signature)
	default:
		return false
	}
}

func (k Key) mac(message []byte) []byte {
	mac := hmac.New(sha256.New, k.secret)
	mac.Write(message)
	return mac.Sum(nil)
}
