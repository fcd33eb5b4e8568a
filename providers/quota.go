package providers

import "time"

// Quota is what an answer told of a provider's limits. A limit it did not tell
// of is zero.
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
	// Remaining is how much is left; it means nothing when Limit is zero.
	Remaining int64
	// Reset is how long until all of it is back; zero when that is not told.
	Reset time.Duration
}
