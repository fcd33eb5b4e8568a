package providertest

import (
	"fmt"
	"maps"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// hinted are the ways in which a server of any format says how long to wait,
// sensible and not, in answers 429 with the format's own body.
func hinted(body string) []Failure {
	var failures []Failure
	for _, h := range []struct {
		name   string
		header map[string]string
		after  time.Duration
	}{
		{"seconds", map[string]string{"Retry-After": "20"}, 20 * time.Second},
		{"fraction", map[string]string{"Retry-After": "0.5"}, 500 * time.Millisecond},
		{"milliseconds", map[string]string{"Retry-After-Ms": "1500", "Retry-After": "20"}, 1500 * time.Millisecond},
		{
			"date", map[string]string{
				"Date": "Sat, 01 Jan 2000 00:00:00 GMT", "Retry-After": "Sat, 01 Jan 2000 00:00:45 GMT",
			}, 45 * time.Second,
		},
		{"no hint", nil, 0},
		{"absurd", map[string]string{"Retry-After": "99999999999"}, 24 * time.Hour},
		{"negative hint", map[string]string{"Retry-After": "-1"}, 0},
		{"unreadable hint", map[string]string{"Retry-After": "soon"}, 0},
		{"date that has passed", map[string]string{"Retry-After": "Sat, 01 Jan 1983 00:00:00 GMT"}, 0},
	} {
		failures = append(failures, limited(h.name, body, h.header, h.after))
	}
	useless := limited("no use waiting", body, map[string]string{"X-Should-Retry": "false"}, 0)
	useless.Want.Class = providers.QuotaExhausted
	told := limited("limits", body, map[string]string{
		"X-Ratelimit-Limit-Requests": "500", "X-Ratelimit-Remaining-Requests": "7",
	}, 0)
	told.Want.Quota.Requests = providers.QuotaLimit{Limit: 500, Remaining: 7}
	return append(failures, useless, told)
}

// limited is an answer 429 with more headers.
func limited(name, body string, header map[string]string, after time.Duration) Failure {
	reply := Whole(429, body)
	maps.Copy(reply.Header, header)
	want := providers.Error{Class: providers.RateLimited, HTTPStatus: 429, RequestID: "req_1", RetryAfter: after}
	return Failure{fmt.Sprintf("429 %s", name), reply, want}
}
