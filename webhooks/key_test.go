package webhooks_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/webhooks"
)

func TestParseKeyRefuses(t *testing.T) {
	t.Parallel()
	encode := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for name, text := range map[string]string{
		"nothing":            "",
		"no prefix":          strings.TrimPrefix(vectorSecret, "whsec_"),
		"another prefix":     "whxx_" + encode(32),
		"no base64":          "whsec_%%%%",
		"no padding":         "whsec_" + strings.TrimRight(encode(25), "="),
		"line break":         "whsec_" + encode(12) + "\n" + encode(24),
		"loose last bits":    strings.TrimSuffix(vectorPublic, "r4=") + "r5=",
		"short secret":       "whsec_" + encode(23),
		"long secret":        "whsec_" + encode(65),
		"seed alone":         "whsk_" + encode(32),
		"foreign halves":     "whsk_" + encode(64),
		"short public key":   "whpk_" + encode(31),
		"private as public":  "whpk_" + strings.TrimPrefix(vectorPrivate, "whsk_"),
		"upper-case prefix":  "WHSEC_" + encode(32),
		"space before":       " " + vectorSecret,
		"space after":        vectorSecret + " ",
		"prefix and nothing": "whsec_",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, err := webhooks.ParseKey(text)
			if err == nil {
				t.Fatalf("%q: got %v, want an error", text, key)
			}
			if len(text) > 20 && strings.Contains(err.Error(), text[8:20]) {
				t.Errorf("the error quotes the key: %v", err)
			}
		})
	}
}

func TestKeyPublic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{vectorPrivate: vectorPublic, vectorPublic: vectorPublic, vectorSecret: ""} {
		got, ok := keys(t, text)[0].Public()
		if got != want || ok != (want != "") {
			t.Errorf("public half of %.6s: got %q, %t; want %q", text, got, ok, want)
		}
	}
}

func TestKeyPrintsNoSecret(t *testing.T) {
	t.Parallel()
	for _, text := range []string{vectorSecret, vectorPrivate} {
		key := keys(t, text)[0]
		raw, err := base64.StdEncoding.DecodeString(text[strings.Index(text, "_")+1:])
		if err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			for holder, printed := range map[string]string{
				"key":     fmt.Sprintf(verb, key),
				"pointer": fmt.Sprintf(verb, &key),
				"slice":   fmt.Sprintf(verb, []webhooks.Key{key}),
			} {
				for _, secret := range []string{text[6:16], fmt.Sprintf("%x", raw[:4]), fmt.Sprintf("%d %d", raw[0], raw[1])} {
					if strings.Contains(printed, secret) {
						t.Errorf("%s of a %s prints its secret: %s", verb, holder, printed)
					}
				}
			}
		}
	}
}
