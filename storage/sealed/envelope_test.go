package sealed

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"testing"

	"github.com/google/uuid"
)

func newKey(tb testing.TB) dataKey {
	tb.Helper()
	key := make([]byte, keySize)
	_, _ = rand.Read(key)
	return dataKey{id: newID(tb), aead: newAEAD(key)}
}

func newID(tb testing.TB) uuid.UUID {
	tb.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

const payload = `{"model":"default","messages":[{"role":"user","content":"a secret"}]}`

func somewhere(tb testing.TB) place {
	tb.Helper()
	return place{tenant: "acme", purpose: partial, execution: newID(tb), call: newID(tb)}
}

func TestAnEnvelopeOpensWhereItWasSealed(t *testing.T) {
	t.Parallel()
	k, p := newKey(t), somewhere(t)
	for _, want := range []string{"", "x", payload} {
		envelope := k.seal(p, []byte(want))
		if len(envelope) != len(want)+overhead {
			t.Errorf("%d bytes are %d sealed, want %d more", len(want), len(envelope), overhead)
		}
		if id, ok := keyOf(envelope); !ok || id != k.id {
			t.Errorf("key of the envelope: got %s, %t", id, ok)
		}
		got, err := k.open(p, envelope)
		if err != nil || string(got) != want {
			t.Errorf("opened %q, %v, want %q", got, err, want)
		}
	}
	if bytes.Equal(k.seal(p, []byte(payload)), k.seal(p, []byte(payload))) {
		t.Error("the same payload was sealed to the same bytes: a nonce is used twice")
	}
}

// An envelope opens in no other row, for no other purpose, for no other tenant
// and under no other key.
func TestAnEnvelopeOpensNowhereElse(t *testing.T) {
	t.Parallel()
	k, p := newKey(t), somewhere(t)
	envelope := k.seal(p, []byte(payload))
	for name, other := range map[string]func(*place){
		"tenant":              func(p *place) { p.tenant = "acme2" },
		"no tenant":           func(p *place) { p.tenant = "" },
		"purpose":             func(p *place) { p.purpose = resultBody },
		"execution":           func(p *place) { p.execution = newID(t) },
		"call":                func(p *place) { p.call = newID(t) },
		"no call":             func(p *place) { p.call = uuid.Nil },
		"call and execution":  func(p *place) { p.call, p.execution = p.execution, p.call },
		"part of the tenant":  func(p *place) { p.tenant = "acm" },
		"purpose of the text": func(p *place) { p.purpose = message },
	} {
		moved := p
		other(&moved)
		if got, err := k.open(moved, envelope); err == nil {
			t.Errorf("opened at another %s: %q", name, got)
		}
	}
	stranger := newKey(t)
	stranger.id = k.id
	if _, err := stranger.open(p, envelope); err == nil {
		t.Error("opened under another key")
	}
}

func TestAChangedEnvelopeDoesNotOpen(t *testing.T) {
	t.Parallel()
	k, p := newKey(t), somewhere(t)
	envelope := k.seal(p, []byte(payload))
	for i := range envelope {
		for bit := range 8 {
			changed := bytes.Clone(envelope)
			changed[i] ^= 1 << bit
			if got, err := k.open(p, changed); err == nil {
				t.Fatalf("opened with bit %d of byte %d flipped: %q", bit, i, got)
			}
		}
	}
	for n := overhead; n < len(envelope); n++ {
		if _, err := k.open(p, envelope[:n]); err == nil {
			t.Fatalf("opened when cut to %d bytes", n)
		}
	}
	if _, err := k.open(p, append(bytes.Clone(envelope), 0)); err == nil {
		t.Error("opened with a byte more")
	}
}

// Text has one form: what was changed is no envelope or does not open.
func TestChangedTextDoesNotOpen(t *testing.T) {
	t.Parallel()
	k, p := newKey(t), somewhere(t)
	text := toText(k.seal(p, []byte("half an answer")))
	if envelope, ok := fromText(text); !ok {
		t.Fatal("text is no envelope")
	} else if got, err := k.open(p, envelope); err != nil || string(got) != "half an answer" {
		t.Fatalf("opened %q, %v", got, err)
	}
	for i := range text {
		for bit := range 8 {
			changed := []byte(text)
			changed[i] ^= 1 << bit
			envelope, ok := fromText(string(changed))
			if !ok {
				continue
			}
			if got, err := k.open(p, envelope); err == nil {
				t.Fatalf("opened with bit %d of character %d flipped: %q", bit, i, got)
			}
		}
	}
}

// What is in plain is never taken for an envelope.
func TestPlainIsNoEnvelope(t *testing.T) {
	t.Parallel()
	for _, plain := range []string{"", "{}", payload, ` {"a":1}`, "\n[1]", `"text"`, "1", "-1", "null"} {
		if !json.Valid([]byte(plain)) && plain != "" {
			t.Fatalf("%q is not JSON", plain)
		}
		if _, ok := keyOf([]byte(plain)); ok {
			t.Errorf("%q was taken for an envelope", plain)
		}
	}
	broken := toText(newKey(t).seal(somewhere(t), nil)) + "\n"
	for _, plain := range []string{"", "an answer", textPrefix, textPrefix + "AQ", textPrefix + "not base64!", broken} {
		if _, ok := fromText(plain); ok {
			t.Errorf("%q was taken for an envelope", plain)
		}
	}
}

// Whatever lies in a row, opening it fails or yields what was sealed.
func FuzzOpen(f *testing.F) {
	k, p := newKey(f), somewhere(f)
	envelope := k.seal(p, []byte(payload))
	f.Add(envelope)
	f.Add(envelope[:overhead])
	f.Add([]byte(toText(envelope)))
	f.Add([]byte(payload))
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, b []byte) {
		if inner, ok := fromText(string(b)); ok {
			if toText(inner) != string(b) {
				t.Fatalf("%q is another text of the same envelope", b)
			}
			b = inner
		}
		if _, ok := keyOf(b); !ok {
			return
		}
		if got, err := k.open(p, b); err == nil && (string(got) != payload || !bytes.Equal(b, envelope)) {
			t.Fatalf("%x opened as %q", b, got)
		}
	})
}
