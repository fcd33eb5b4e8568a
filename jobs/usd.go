package jobs

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// USD is an amount of money in thousand-millionths of a US dollar, so that a
// price per token is a whole number and sums are exact.
type USD int64

// Dollar is one US dollar.
const Dollar USD = 1_000_000_000

// String returns the amount as a decimal number of dollars, without the sign
// of the currency and without needless zeros: 0.0025.
func (u USD) String() string {
	sign, n := "", uint64(u) //nolint:gosec // the bits are wanted: the sign is taken off next
	if u < 0 {
		sign, n = "-", -n
	}
	s := fmt.Sprintf("%s%d.%09d", sign, n/uint64(Dollar), n%uint64(Dollar))
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// MarshalJSON writes the amount as a JSON number of dollars.
func (u USD) MarshalJSON() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalJSON reads a JSON number of dollars, rounded to the nearest unit.
func (u *USD) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return fmt.Errorf("parse amount in USD: %w", err)
	}
	*u = USD(math.Round(f * float64(Dollar)))
	return nil
}
