package providers

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Quota is what the headers of an answer told of a provider's limits. A limit
// that they did not tell of is zero.
type Quota struct {
	Requests QuotaLimit
	// Tokens counts input and output together.
	Tokens       QuotaLimit
	InputTokens  QuotaLimit
	OutputTokens QuotaLimit
}

// QuotaLimit is one limit.
type QuotaLimit struct {
	// Limit is how much a minute may have; zero: nothing was told.
	Limit int64
	// Remaining is how much is left, at least zero. It means nothing when Limit is
	// zero.
	Remaining int64
	// Reset is how long until all of it is back: at most [MaxHint], zero when that
	// was not told.
	Reset time.Duration
}

// quotaHeaders are the names of each limit's headers: OpenAI's, then Anthropic's.
var quotaHeaders = [...][2]limitHeader{
	{openaiLimit("Requests"), anthropicLimit("Requests")},
	{openaiLimit("Tokens"), anthropicLimit("Tokens")},
	{{}, anthropicLimit("Input-Tokens")},
	{{}, anthropicLimit("Output-Tokens")},
}

type limitHeader struct{ limit, remaining, reset string }

func openaiLimit(of string) limitHeader {
	return limitHeader{"X-Ratelimit-Limit-" + of, "X-Ratelimit-Remaining-" + of, "X-Ratelimit-Reset-" + of}
}

func anthropicLimit(of string) limitHeader {
	name := "Anthropic-Ratelimit-" + of
	return limitHeader{name + "-Limit", name + "-Remaining", name + "-Reset"}
}

// ParseQuota reads x-ratelimit-{limit,remaining,reset}-{requests,tokens} and
// anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}
// of an answer that arrived at now; resets are as [ParseHint] reads them. A limit
// whose own number or remainder cannot be read, or is negative, was not told of.
func ParseQuota(header http.Header, now time.Time) Quota {
	server := serverTime(header, now)
	var told [len(quotaHeaders)]QuotaLimit
	for i, names := range quotaHeaders {
		for _, n := range names {
			if l := parseLimit(header, n, server); l.Limit > 0 {
				told[i] = l
			}
		}
	}
	return Quota{Requests: told[0], Tokens: told[1], InputTokens: told[2], OutputTokens: told[3]}
}

func parseLimit(header http.Header, names limitHeader, server time.Time) QuotaLimit {
	if names.limit == "" {
		return QuotaLimit{}
	}
	limit, okLimit := parseCount(header.Get(names.limit))
	remaining, okRemaining := parseCount(header.Get(names.remaining))
	if !okLimit || !okRemaining || limit == 0 {
		return QuotaLimit{}
	}
	return QuotaLimit{Limit: limit, Remaining: remaining, Reset: parseReset(header.Get(names.reset), server)}
}

// parseCount reads digits. More than fit are as many as fit.
func parseCount(value string) (int64, bool) {
	value = strings.TrimSpace(value)
	if value == "" || strings.Trim(value, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		n = math.MaxInt64
	}
	return n, true
}
