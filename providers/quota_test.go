package providers_test

import (
	"math"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

func TestParseQuota(t *testing.T) {
	t.Parallel()
	const (
		limit     = "x-ratelimit-limit-requests"
		remaining = "x-ratelimit-remaining-requests"
		reset     = "x-ratelimit-reset-requests"
	)
	requests := func(limit, remaining int64, reset time.Duration) providers.Quota {
		return providers.Quota{Requests: providers.QuotaLimit{Limit: limit, Remaining: remaining, Reset: reset}}
	}
	for _, c := range []struct {
		name   string
		header []string
		want   providers.Quota
	}{
		{"nothing", nil, providers.Quota{}},
		{"OpenAI's", []string{limit, "500", remaining, "499", reset, "120ms"}, requests(500, 499, 120*time.Millisecond)},
		{"used up", []string{limit, "500", remaining, "0", reset, "6m0s"}, requests(500, 0, 6*time.Minute)},
		{"without a reset", []string{limit, "500", remaining, "3"}, requests(500, 3, 0)},
		{"an unreadable reset", []string{limit, "500", remaining, "3", reset, "later"}, requests(500, 3, 0)},
		{"a reset beyond a day", []string{limit, "5", remaining, "3", reset, "100h"}, requests(5, 3, providers.MaxHint)},
		{"spaces", []string{limit, " 500 ", remaining, " 3"}, requests(500, 3, 0)},
		{"without a remainder", []string{limit, "500"}, providers.Quota{}},
		{"without a limit", []string{remaining, "3"}, providers.Quota{}},
		{"a limit of none", []string{limit, "0", remaining, "0"}, providers.Quota{}},
		{"negative", []string{limit, "-500", remaining, "3"}, providers.Quota{}},
		{"a negative remainder", []string{limit, "500", remaining, "-3"}, providers.Quota{}},
		{"a fraction", []string{limit, "500.5", remaining, "3"}, providers.Quota{}},
		{"a list", []string{limit, "500, 500;w=60", remaining, "3"}, providers.Quota{}},
		{"beyond any number", []string{limit, "99999999999999999999999", remaining, "3"}, requests(math.MaxInt64, 3, 0)},
		{
			"OpenAI's tokens",
			[]string{"x-ratelimit-limit-tokens", "30000", "x-ratelimit-remaining-tokens", "29000", "x-ratelimit-reset-tokens", "2s"},
			providers.Quota{Tokens: providers.QuotaLimit{Limit: 30000, Remaining: 29000, Reset: 2 * time.Second}},
		},
		{
			"Anthropic's",
			[]string{
				"anthropic-ratelimit-requests-limit", "50", "anthropic-ratelimit-requests-remaining", "49",
				"anthropic-ratelimit-requests-reset", "2026-03-01T12:00:07Z",
				"anthropic-ratelimit-tokens-limit", "9", "anthropic-ratelimit-tokens-remaining", "8",
				"anthropic-ratelimit-input-tokens-limit", "7", "anthropic-ratelimit-input-tokens-remaining", "6",
				"anthropic-ratelimit-output-tokens-limit", "5", "anthropic-ratelimit-output-tokens-remaining", "4",
			},
			providers.Quota{
				Requests:    providers.QuotaLimit{Limit: 50, Remaining: 49, Reset: 7 * time.Second},
				Tokens:      providers.QuotaLimit{Limit: 9, Remaining: 8},
				InputTokens: providers.QuotaLimit{Limit: 7, Remaining: 6}, OutputTokens: providers.QuotaLimit{Limit: 5, Remaining: 4},
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := providers.ParseQuota(headers(c.header...), hintNow); got != c.want {
				t.Errorf("got %+v, want %+v for %v", got, c.want, c.header)
			}
		})
	}
}

func FuzzParseQuota(f *testing.F) {
	f.Add("500", "499", "120ms", "2026-03-01T12:00:07Z")
	f.Add("-1", "99999999999999999999", "1e9", "x")
	f.Fuzz(func(t *testing.T, limit, remaining, reset, other string) {
		header := headers("X-Ratelimit-Limit-Requests", limit, "X-Ratelimit-Remaining-Requests", remaining,
			"X-Ratelimit-Reset-Requests", reset, "Anthropic-Ratelimit-Output-Tokens-Limit", remaining,
			"Anthropic-Ratelimit-Output-Tokens-Remaining", limit, "Anthropic-Ratelimit-Output-Tokens-Reset", other)
		q := providers.ParseQuota(header, hintNow)
		for _, l := range []providers.QuotaLimit{q.Requests, q.Tokens, q.InputTokens, q.OutputTokens} {
			if l.Limit < 0 || l.Remaining < 0 || l.Reset < 0 || l.Reset > providers.MaxHint || l.Limit == 0 && l != (providers.QuotaLimit{}) {
				t.Errorf("got %+v for %v", l, header)
			}
		}
	})
}
