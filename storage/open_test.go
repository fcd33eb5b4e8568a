package storage

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/storage/sqlite"
)

func TestSQLiteURLs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		url  string
		want sqlite.Config
	}{
		{"sqlite:///var/lib/penstock.db", sqlite.Config{Path: "/var/lib/penstock.db"}},
		{"sqlite://data/penstock.db", sqlite.Config{Path: "data/penstock.db"}},
		{"sqlite:data/penstock.db", sqlite.Config{Path: "data/penstock.db"}},
		{"file:/var/lib/penstock.db", sqlite.Config{Path: "/var/lib/penstock.db"}},
		{"file:///var/lib/penstock.db", sqlite.Config{Path: "/var/lib/penstock.db"}},
		{"sqlite:///a b/50%/c#d.db", sqlite.Config{Path: "/a b/50%/c#d.db"}},
		{"sqlite:///p.db?synchronous=normal", sqlite.Config{Path: "/p.db", Relaxed: true}},
		{"sqlite:p.db?synchronous=full", sqlite.Config{Path: "p.db"}},
	} {
		got, err := sqliteConfig(test.url)
		if err != nil || got != test.want {
			t.Errorf("%s: got %+v, %v, want %+v", test.url, got, err, test.want)
		}
		if !Embedded(test.url) {
			t.Errorf("%s: got not embedded", test.url)
		}
	}
}

func TestOpenRefusesOtherURLs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ url, want string }{
		{"", "no scheme"},
		{"penstock.db", "no scheme"},
		{"mysql://u:secret@host/db", `scheme "mysql"; want postgres://`},
		{"postgres:host", `scheme "postgres"; want postgres://`},
		{"http://u:secret@host\x7f/", `scheme "http"; want postgres://`},
		{"sqlite:", "names no file"},
		{"sqlite:///", "names no file"},
		{"sqlite:///data/", "names no file"},
		{"sqlite:///p.db?mode=ro", "nothing else"},
		{"sqlite:///p.db?synchronous=off", "nothing else"},
	} {
		_, err := Open(t.Context(), test.url)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("open %q: got error %v, want one that says %q", test.url, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "u:secret") {
			t.Errorf("open %q: the error repeats the password: %v", test.url, err)
		}
		if err := Migrate(t.Context(), test.url); err == nil {
			t.Errorf("migrate %q: got no error", test.url)
		}
		if Embedded(test.url) {
			t.Errorf("%q: got embedded", test.url)
		}
	}
}

func TestOpenSQLite(t *testing.T) {
	t.Parallel()
	url := "sqlite://" + filepath.ToSlash(filepath.Join(t.TempDir(), "made", "penstock.db"))
	if _, err := Open(t.Context(), url, NoMigrate); !errors.Is(err, sqlite.ErrOlderSchema) {
		t.Fatalf("open without migrating: got error %v, want %v", err, sqlite.ErrOlderSchema)
	}
	if err := Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), url, NoMigrate)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenReachesForPostgres(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, url := range []string{"postgres://u:secret@127.0.0.1:1/db", "postgresql://u:secret@127.0.0.1:1/db"} {
		_, err := Open(ctx, url)
		if err == nil || !strings.Contains(err.Error(), "Postgres") {
			t.Errorf("open: got error %v, want one of the Postgres store", err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error repeats the password: %v", err)
		}
		if Embedded(url) {
			t.Errorf("got embedded")
		}
	}
}
