package app

import (
	"context"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// A store that cannot be opened is an error that names it, and nothing else.
func TestBuildWithoutAStore(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := Config{
		Role: RoleAPI, DatabaseURL: "postgres://nobody@127.0.0.1:1/none", RedisURL: "redis://127.0.0.1:1", File: embeddedFile(),
	}
	p, err := build(ctx, c, zerolog.Nop())
	if p != nil || err == nil || !strings.Contains(err.Error(), "PENSTOCK_DATABASE_URL") {
		t.Fatalf("got %v, %v, want no parts and an error that names PENSTOCK_DATABASE_URL", p, err)
	}
}
