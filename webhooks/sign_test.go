package webhooks_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/webhooks"
)

// The vectors of Standard Webhooks.
const (
	vectorID      = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorSeconds = 1614265330
	vectorBody    = `{"test": 2432232314}`

	vectorSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorV1     = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

	vectorPrivate = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
	vectorPublic  = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
	vectorV1a     = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
)

var vectorTime = time.Unix(vectorSeconds, 0)

func TestSignGivesTheVectors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keys []string
		want string
	}{
		"secret":   {[]string{vectorSecret}, vectorV1},
		"private":  {[]string{vectorPrivate}, vectorV1a},
		"rotation": {[]string{vectorSecret, vectorPrivate}, vectorV1 + " " + vectorV1a},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header, err := webhooks.Sign(vectorID, vectorTime.Add(999*time.Millisecond), []byte(vectorBody), keys(t, c.keys...)...)
			if err != nil {
				t.Fatal(err)
			}
			if got := header.Get("webhook-signature"); got != c.want {
				t.Errorf("signature: got %q, want %q", got, c.want)
			}
			if got := header.Get("webhook-id"); got != vectorID {
				t.Errorf("id: got %q, want %q", got, vectorID)
			}
			if got, want := header.Get("webhook-timestamp"), fmt.Sprint(vectorSeconds); got != want {
				t.Errorf("timestamp: got %q, want %q", got, want)
			}
		})
	}
}

func TestVerifyTakesTheVectors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ key, signature string }{
		"secret":              {vectorSecret, vectorV1},
		"private":             {vectorPrivate, vectorV1a},
		"public":              {vectorPublic, vectorV1a},
		"second of several":   {vectorSecret, vectorV1a + " " + vectorV1},
		"after a stranger":    {vectorSecret, "v1,AAAA " + vectorV1},
		"after a new version": {vectorPublic, "v2,AAAA " + vectorV1a},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := webhooks.Verify(vectorHeader(c.signature), []byte(vectorBody), vectorTime, keys(t, c.key)...); err != nil {
				t.Errorf("signature %q: %v", c.signature, err)
			}
		})
	}
}

func TestVerifyTakesAnyOfItsKeys(t *testing.T) {
	t.Parallel()
	other := "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	if err := webhooks.Verify(vectorHeader(vectorV1), []byte(vectorBody), vectorTime, keys(t, other, vectorSecret)...); err != nil {
		t.Errorf("with the old and the new secret: %v", err)
	}
	err := webhooks.Verify(vectorHeader(vectorV1), []byte(vectorBody), vectorTime, keys(t, other)...)
	if !errors.Is(err, webhooks.ErrSignature) {
		t.Errorf("with another's secret: got %v, want %v", err, webhooks.ErrSignature)
	}
	if err := webhooks.Verify(vectorHeader(vectorV1), []byte(vectorBody), vectorTime); !errors.Is(err, webhooks.ErrSignature) {
		t.Errorf("without keys: got %v, want %v", err, webhooks.ErrSignature)
	}
}

func TestVerifyBindsEveryPart(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(http.Header, *string){
		"id":                       func(h http.Header, _ *string) { h.Set("webhook-id", "msg_other") },
		"timestamp":                func(h http.Header, _ *string) { h.Set("webhook-timestamp", fmt.Sprint(vectorSeconds+1)) },
		"body":                     func(_ http.Header, body *string) { *body = `{"test": 2432232315}` },
		"spaces of the body":       func(_ http.Header, body *string) { *body = `{"test":2432232314}` },
		"empty body":               func(_ http.Header, body *string) { *body = "" },
		"version":                  func(h http.Header, _ *string) { h.Set("webhook-signature", strings.Replace(vectorV1, "v1", "v1a", 1)) },
		"no version":               func(h http.Header, _ *string) { h.Set("webhook-signature", strings.TrimPrefix(vectorV1, "v1,")) },
		"beginning of a signature": func(h http.Header, _ *string) { h.Set("webhook-signature", "v1,g0hM9SsE") },
		"empty signature":          func(h http.Header, _ *string) { h.Set("webhook-signature", "v1,") },
		"no base64":                func(h http.Header, _ *string) { h.Set("webhook-signature", "v1,%%%") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header, body := vectorHeader(vectorV1), vectorBody
			change(header, &body)
			err := webhooks.Verify(header, []byte(body), vectorTime, keys(t, vectorSecret, vectorPublic)...)
			if !errors.Is(err, webhooks.ErrSignature) {
				t.Errorf("got %v, want %v", err, webhooks.ErrSignature)
			}
		})
	}
}

func TestVerifyTolerance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		late time.Duration
		want error
	}{
		{300 * time.Second, nil},
		{-300 * time.Second, nil},
		{300*time.Second + 1, webhooks.ErrTimestamp},
		{-300*time.Second - 1, webhooks.ErrTimestamp},
		{100 * 365 * 24 * time.Hour, webhooks.ErrTimestamp},
	} {
		err := webhooks.Verify(vectorHeader(vectorV1), []byte(vectorBody), vectorTime.Add(c.late), keys(t, vectorSecret)...)
		if !errors.Is(err, c.want) {
			t.Errorf("%s late: got %v, want %v", c.late, err, c.want)
		}
	}
}

func TestVerifyRefusesMalformedHeaders(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(http.Header){
		"no id":                func(h http.Header) { h.Del("webhook-id") },
		"empty id":             func(h http.Header) { h.Set("webhook-id", "") },
		"two ids":              func(h http.Header) { h.Add("webhook-id", "msg_other") },
		"dot in the id":        func(h http.Header) { h.Set("webhook-id", "msg.1614265330") },
		"space in the id":      func(h http.Header) { h.Set("webhook-id", "msg 1") },
		"long id":              func(h http.Header) { h.Set("webhook-id", strings.Repeat("m", 256)) },
		"no timestamp":         func(h http.Header) { h.Del("webhook-timestamp") },
		"two timestamps":       func(h http.Header) { h.Add("webhook-timestamp", "1614265330") },
		"signed timestamp":     func(h http.Header) { h.Set("webhook-timestamp", "+1614265330") },
		"negative timestamp":   func(h http.Header) { h.Set("webhook-timestamp", "-1") },
		"fractional timestamp": func(h http.Header) { h.Set("webhook-timestamp", "1614265330.5") },
		"padded timestamp":     func(h http.Header) { h.Set("webhook-timestamp", "01614265330") },
		"huge timestamp":       func(h http.Header) { h.Set("webhook-timestamp", "9223372036854775807") },
		"no signature":         func(h http.Header) { h.Del("webhook-signature") },
		"two signatures":       func(h http.Header) { h.Add("webhook-signature", vectorV1) },
		"seventeen signatures": func(h http.Header) { h.Set("webhook-signature", strings.Repeat(vectorV1+" ", 17)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := vectorHeader(vectorV1)
			change(header)
			err := webhooks.Verify(header, []byte(vectorBody), vectorTime, keys(t, vectorSecret)...)
			if !errors.Is(err, webhooks.ErrMalformed) {
				t.Errorf("got %v, want %v", err, webhooks.ErrMalformed)
			}
		})
	}
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		id   string
		at   time.Time
		keys []string
	}{
		"empty id":       {"", vectorTime, []string{vectorSecret}},
		"dot in the id":  {"evt.1", vectorTime, []string{vectorSecret}},
		"line in the id": {"evt\n1", vectorTime, []string{vectorSecret}},
		"no key":         {"evt_1", vectorTime, nil},
		"public key":     {"evt_1", vectorTime, []string{vectorPublic}},
		"before 1970":    {"evt_1", time.Time{}, []string{vectorSecret}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if header, err := webhooks.Sign(c.id, c.at, nil, keys(t, c.keys...)...); err == nil {
				t.Errorf("got %v, want an error", header)
			}
		})
	}
}

func vectorHeader(signature string) http.Header {
	header := http.Header{}
	header.Set("webhook-id", vectorID)
	header.Set("webhook-timestamp", fmt.Sprint(vectorSeconds))
	header.Set("webhook-signature", signature)
	return header
}

func keys(tb testing.TB, texts ...string) []webhooks.Key {
	tb.Helper()
	parsed := make([]webhooks.Key, 0, len(texts))
	for _, text := range texts {
		key, err := webhooks.ParseKey(text)
		if err != nil {
			tb.Fatal(err)
		}
		parsed = append(parsed, key)
	}
	return parsed
}
