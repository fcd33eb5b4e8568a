package webhooks

import (
	"strings"
	"testing"
	"time"
)

func TestNewKeysSignAndVerify(t *testing.T) {
	t.Parallel()
	for prefix, generate := range map[string]func() string{"whsec_": NewSecret, "whsk_": NewPrivateKey} {
		text := generate()
		if !strings.HasPrefix(text, prefix) || text == generate() {
			t.Errorf("got %d bytes that begin %.6s; want %s and another key each time", len(text), text, prefix)
		}
		key, err := ParseKey(text)
		if err != nil {
			t.Fatal(err)
		}
		verifier := key
		if public, ok := key.Public(); ok {
			if verifier, err = ParseKey(public); err != nil {
				t.Fatal(err)
			}
		}
		now := time.Unix(1_900_000_000, 0)
		header, err := Sign("msg_1", now, []byte("{}"), key)
		if err != nil {
			t.Fatal(err)
		}
		if err := Verify(header, []byte("{}"), now, verifier); err != nil {
			t.Errorf("%s: %v", prefix, err)
		}
	}
}

func TestNewSecretIsAsLongAsItSays(t *testing.T) {
	t.Parallel()
	raw, err := encoding.DecodeString(strings.TrimPrefix(NewSecret(), "whsec_"))
	if err != nil || len(raw) != 32 {
		t.Errorf("got %d bytes, %v; want 32", len(raw), err)
	}
}
