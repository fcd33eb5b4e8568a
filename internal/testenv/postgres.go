package testenv

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Postgres returns the URL of a fresh, empty database for tb alone, on the server
// that PENSTOCK_TEST_POSTGRES_URL names. The database is dropped when tb ends,
// even if connections to it are still open.
func Postgres(tb testing.TB) string {
	tb.Helper()
	server := postgresServer(tb)
	return lendDatabase(tb, server, "")
}

// lendDatabase makes a database, empty or a copy of template, that is dropped when
// tb ends, and returns its URL.
func lendDatabase(tb testing.TB, server *url.URL, template string) string {
	tb.Helper()
	name, err := createDatabase(tb.Context(), server, template)
	if err != nil {
		tb.Fatalf("create a database for the test: %v", err)
	}
	tb.Cleanup(func() {
		if err := dropDatabase(server, name); err != nil {
			tb.Errorf("drop the test's database %s: %v", name, err)
		}
	})
	return databaseURL(server, name)
}

// Template is a database that those of many tests are copies of: to copy a schema
// takes a fraction of the time that its migrations do. It belongs to one process,
// which drops it in the end.
type Template struct {
	prepare func(ctx context.Context, url string) error

	once   sync.Once
	server *url.URL
	name   string
	err    error
}

// NewTemplate returns a template that is made when it is first asked for: an empty
// database that prepare fills, and to which it leaves no connection open.
func NewTemplate(prepare func(ctx context.Context, url string) error) *Template {
	return &Template{prepare: prepare}
}

// Postgres is as [Postgres], but the database holds what the template does.
func (t *Template) Postgres(tb testing.TB) string {
	tb.Helper()
	server := postgresServer(tb)
	t.once.Do(func() { t.make(server) })
	if t.err != nil {
		tb.Fatalf("make the template of databases for tests: %v", t.err)
	}
	return lendDatabase(tb, server, t.name)
}

// make outlives the test that asked first.
func (t *Template) make(server *url.URL) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	t.server = server
	if t.name, t.err = createDatabase(ctx, server, ""); t.err == nil {
		t.err = t.prepare(ctx, databaseURL(server, t.name))
	}
}

// Drop drops the template, if it was made. TestMain calls it when all tests have
// ended.
func (t *Template) Drop() error {
	if t.name == "" {
		return nil
	}
	return dropDatabase(t.server, t.name)
}

// postgresServer returns the URL of the shared server, or fails tb.
func postgresServer(tb testing.TB) *url.URL {
	tb.Helper()
	server, err := url.Parse(serverURL(tb, postgresVariable))
	if err != nil {
		tb.Fatalf("%s is not a URL such as postgres://user:password@host:5432/postgres", postgresVariable)
	}
	return server
}

// createDatabase makes a database, empty or a copy of template, and returns its name.
func createDatabase(ctx context.Context, server *url.URL, template string) (name string, err error) {
	name = "penstock_test_" + strings.ToLower(rand.Text())
	statement := "CREATE DATABASE " + name
	if template != "" {
		statement += " TEMPLATE " + template
	}
	if err := execute(ctx, server.String(), statement); err != nil {
		return "", err
	}
	return name, nil
}

func dropDatabase(server *url.URL, name string) error {
	return execute(context.Background(), server.String(), "DROP DATABASE "+name+" WITH (FORCE)")
}

func databaseURL(server *url.URL, name string) string {
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
