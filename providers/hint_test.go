package providers_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

var hintNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func headers(pairs ...string) http.Header {
	header := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		header.Set(pairs[i], pairs[i+1])
	}
	return header
}

func TestParseHintRetryAfter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		header http.Header
		want   time.Duration
	}{
		{"nothing", headers(), 0},
		{"seconds", headers("Retry-After", "20"), 20 * time.Second},
		{"fraction", headers("Retry-After", "1.5"), 1500 * time.Millisecond},
		{"fraction without whole", headers("Retry-After", ".25"), 250 * time.Millisecond},
		{"spaces", headers("Retry-After", " 3 "), 3 * time.Second},
		{"milliseconds win", headers("Retry-After", "2", "retry-after-ms", "1300"), 1300 * time.Millisecond},
		{"milliseconds unreadable", headers("Retry-After", "2", "retry-after-ms", "soon"), 2 * time.Second},
		{"milliseconds alone", headers("retry-after-ms", "0.5"), 500 * time.Microsecond},
		{"zero", headers("Retry-After", "0"), 0},
		{"negative", headers("Retry-After", "-5"), 0},
		{"signed", headers("Retry-After", "+5"), 0},
		{"word", headers("Retry-After", "soon"), 0},
		{"exponent", headers("Retry-After", "1e3"), 0},
		{"infinite", headers("Retry-After", "inf"), 0},
		{"not a number", headers("Retry-After", "NaN"), 0},
		{"two points", headers("Retry-After", "1.2.3"), 0},
		{"only a point", headers("Retry-After", "."), 0},
		{"a day", headers("Retry-After", "86400"), 24 * time.Hour},
		{"beyond a day", headers("Retry-After", "86401"), 24 * time.Hour},
		{"beyond any number", headers("Retry-After", "9999999999999999999999999999999999"), 24 * time.Hour},
		{"date", headers("Retry-After", "Sun, 01 Mar 2026 12:01:00 GMT"), time.Minute},
		{
			"date relative to the answer's",
			headers("Retry-After", "Sun, 01 Mar 2026 09:00:30 GMT", "Date", "Sun, 01 Mar 2026 09:00:00 GMT"),
			30 * time.Second,
		},
		{
			"date with an unreadable answer's",
			headers("Retry-After", "Sun, 01 Mar 2026 12:00:05 GMT", "Date", "yesterday"),
			5 * time.Second,
		},
		{"date in the past", headers("Retry-After", "Sun, 01 Mar 2026 11:00:00 GMT"), 0},
		{"date far off", headers("Retry-After", "Mon, 01 Mar 2027 12:00:00 GMT"), 24 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, rateLimited := range []bool{false, true} {
				if got := providers.ParseHint(c.header, rateLimited, hintNow).After; got != c.want {
					t.Errorf("rate limited %t: got %s, want %s for %v", rateLimited, got, c.want, c.header)
				}
			}
		})
	}
}

func TestParseHintResets(t *testing.T) {
	t.Parallel()
	const (
		requestsLeft  = "x-ratelimit-remaining-requests"
		requestsReset = "x-ratelimit-reset-requests"
		tokensLeft    = "x-ratelimit-remaining-tokens"
		tokensReset   = "x-ratelimit-reset-tokens"
	)
	for _, c := range []struct {
		name   string
		header http.Header
		want   time.Duration
	}{
		{"nothing left", headers(requestsLeft, "0", requestsReset, "1s"), time.Second},
		{"minutes", headers(tokensLeft, "0", tokensReset, "6m0s"), 6 * time.Minute},
		{"milliseconds", headers(tokensLeft, "0", tokensReset, "120ms"), 120 * time.Millisecond},
		{"plain seconds", headers(tokensLeft, "0", tokensReset, "7.5"), 7500 * time.Millisecond},
		{
			"only the one with nothing left",
			headers(requestsLeft, "0", requestsReset, "2s", tokensLeft, "9", tokensReset, "5m"), 2 * time.Second,
		},
		{"all when there is no other hint", headers(requestsLeft, "3", requestsReset, "2s", tokensReset, "9s"), 9 * time.Second},
		{"not beside Retry-After", headers("Retry-After", "4", requestsLeft, "3", requestsReset, "2m"), 4 * time.Second},
		{"longer than Retry-After", headers("Retry-After", "4", requestsLeft, "0", requestsReset, "2m"), 2 * time.Minute},
		{"shorter than Retry-After", headers("Retry-After", "400", requestsLeft, "0", requestsReset, "2m"), 400 * time.Second},
		{"negative", headers(requestsLeft, "0", requestsReset, "-2s"), 0},
		{"unreadable", headers(requestsLeft, "0", requestsReset, "later"), 0},
		{"a Unix time", headers(requestsLeft, "0", requestsReset, "1772366400"), 0},
		{"beyond a day", headers(requestsLeft, "0", requestsReset, "48h"), 24 * time.Hour},
		{
			"Anthropic's",
			headers("anthropic-ratelimit-input-tokens-remaining", "0",
				"anthropic-ratelimit-input-tokens-reset", "2026-03-01T12:00:07Z"), 7 * time.Second,
		},
		{
			"Anthropic's relative to the answer's date",
			headers("anthropic-ratelimit-requests-remaining", "0", "Date", "Sun, 01 Mar 2026 09:00:00 GMT",
				"anthropic-ratelimit-requests-reset", "2026-03-01T09:00:03Z"), 3 * time.Second,
		},
		{"Anthropic's in the past", headers("anthropic-ratelimit-tokens-reset", "2026-03-01T11:00:00Z"), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := providers.ParseHint(c.header, true, hintNow).After; got != c.want {
				t.Errorf("got %s, want %s for %v", got, c.want, c.header)
			}
			withoutResets := c.header.Clone()
			for name := range withoutResets {
				if name != "Retry-After" {
					delete(withoutResets, name)
				}
			}
			want := providers.ParseHint(withoutResets, false, hintNow).After
			if got := providers.ParseHint(c.header, false, hintNow).After; got != want {
				t.Errorf("not rate limited: got %s, want %s: resets must not count for %v", got, want, c.header)
			}
		})
	}
}

func TestParseHintAdvice(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]providers.Advice{
		"": providers.NoAdvice, "true": providers.DoRetry, "false": providers.DoNotRetry,
		" TRUE ": providers.DoRetry, "1": providers.NoAdvice,
	} {
		if got := providers.ParseHint(headers("x-should-retry", value), false, hintNow).Advice; got != want {
			t.Errorf("%q: got %d, want %d", value, got, want)
		}
	}
}

func TestParseDelay(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"45.8s": 45800 * time.Millisecond, "37s": 37 * time.Second, "0.000340012s": 340012 * time.Nanosecond, " 1s ": time.Second,
		"99999999999s": 24 * time.Hour, "0s": 0, "-3s": 0, "": 0, "s": 0, "3": 0, "3m": 0, "1e9s": 0, "soon": 0, "infs": 0,
	} {
		if got := providers.ParseDelay(value); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
}

func FuzzParseHint(f *testing.F) {
	f.Add("1.5", "200", "0", "6m0s", "2026-03-01T12:00:07Z", "Sun, 01 Mar 2026 12:00:00 GMT", "true")
	f.Add("Sun, 01 Mar 2026 12:01:00 GMT", "-1", "1", "1e9", "x", "", "false")
	f.Add("99999999999999999999999", "inf", "0", "9999999h", "", "x", "")
	f.Fuzz(func(t *testing.T, after, ms, left, reset, anthropic, date, should string) {
		header := headers("Retry-After", after, "Retry-After-Ms", ms, "X-Ratelimit-Remaining-Tokens", left,
			"X-Ratelimit-Reset-Tokens", reset, "Anthropic-Ratelimit-Tokens-Reset", anthropic, "Date", date,
			"X-Should-Retry", should)
		limited := providers.ParseHint(header, true, hintNow)
		plain := providers.ParseHint(header, false, hintNow)
		for _, hint := range []providers.Hint{limited, plain} {
			if hint.After < 0 || hint.After > providers.MaxHint {
				t.Errorf("%s is out of bounds for %v", hint.After, header)
			}
		}
		if delay := providers.ParseDelay(after + "s"); delay < 0 || delay > providers.MaxHint {
			t.Errorf("%s is out of bounds for %q", delay, after)
		}
		if limited.After < plain.After {
			t.Errorf("rate limited %s is shorter than plain %s for %v", limited.After, plain.After, header)
		}
	})
}
