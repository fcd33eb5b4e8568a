package webhooks_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/webhooks"
)

// FuzzVerify feeds Verify what strangers send. What it takes must carry the one
// signature that a second, plainer calculation gives; and what Sign makes of
// the same parts, it must take.
func FuzzVerify(f *testing.F) {
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(vectorSecret, "whsec_"))
	if err != nil {
		f.Fatal(err)
	}
	key := keys(f, vectorSecret)[0]
	f.Add(vectorID, "1614265330", vectorV1, []byte(vectorBody))
	f.Add(vectorID, "1614265330", vectorV1a+" "+vectorV1, []byte(vectorBody))
	f.Add("msg.1", "1614265330.1", "v1,", []byte("."))
	f.Add("", "-0", "v1", []byte(nil))
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, body []byte) {
		header := http.Header{}
		header.Set("webhook-id", id)
		header.Set("webhook-timestamp", timestamp)
		header.Set("webhook-signature", signature)
		if webhooks.Verify(header, body, vectorTime, key) == nil {
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(id + "." + timestamp + "." + string(body)))
			want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
			if !slices.Contains(strings.Fields(signature), want) {
				t.Errorf("took id %q, timestamp %q, signature %q; want %q in it", id, timestamp, signature, want)
			}
		}
		signed, err := webhooks.Sign(id, vectorTime, body, key)
		if err != nil {
			return
		}
		if err := webhooks.Verify(signed, body, vectorTime, key); err != nil {
			t.Errorf("id %q: refused what Sign made: %v", id, err)
		}
	})
}
