package testenv

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Postgres returns the URL of a fresh, empty database for tb alone, on the server
// that PENSTOCK_TEST_POSTGRES_URL names. The database is dropped when tb ends,
// even if connections to it are still open.
func Postgres(tb testing.TB) string {
	tb.Helper()
	server, err := url.Parse(serverURL(tb, postgresVariable))
	if err != nil {
		tb.Fatalf("%s is not a URL such as postgres://user:password@host:5432/postgres", postgresVariable)
	}
	name := "penstock_test_" + strings.ToLower(rand.Text())
	if err := execute(tb.Context(), server.String(), "CREATE DATABASE "+name); err != nil {
		tb.Fatalf("create a database for the test: %v", err)
	}
	tb.Cleanup(func() {
		if err := execute(context.Background(), server.String(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Errorf("drop the test's database %s: %v", name, err)
		}
	})
	own := *server
	own.Path = "/" + name
	return own.String()
}

// execute runs one statement on a connection of its own.
func execute(ctx context.Context, serverURL, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, serverURL)
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}
