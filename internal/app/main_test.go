package app

import (
	"testing"

	"golang.org/x/net/http/httpguts"
)

// Receivers are told a version as headers have it, and nothing of Go.
func TestAReleaseIsAToken(t *testing.T) {
	t.Parallel()
	if got := release(); !httpguts.ValidHeaderFieldName(got) { // that is a token, too
		t.Errorf("got %q, want a token", got)
	}
}
