// Package storage opens a [jobs.Store] by its URL. What a store is, is what
// storage/storagetest says; there is one in SQLite and one in Postgres.
package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers/lane"
	"github.com/penstock-dev/penstock/storage/postgres"
	"github.com/penstock-dev/penstock/storage/sqlite"
	"github.com/penstock-dev/penstock/storage/tenantkey"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// Store keeps jobs, the keys of their tenants, what lanes must not lose, webhooks, files and
// batches.
type Store interface {
	jobs.Store
	tenantkey.Store
	lane.Store
	delivery.Store
	files.Store
	batches.Store
}

// Option changes how a store is opened.
type Option func(o *options)

type options struct{ noMigrate bool }

// NoMigrate leaves the schema as it is; a schema that is not the one this
// program knows is an error then.
func NoMigrate(o *options) { o.noMigrate = true }

// accepted is what a URL may look like.
const accepted = "postgres://user@host:5432/database, sqlite:///absolute/path or sqlite://relative/path"

// Open opens the store at the URL:
//
//	postgres://user@host:5432/database   also postgresql://
//	sqlite:///absolute/path              also file:///absolute/path
//	sqlite://relative/path               also file:relative/path
//
// A SQLite URL may end in ?synchronous=normal: see [sqlite.Config].Relaxed. Any
// other URL is an error that says what is accepted and does not repeat the URL,
// which can hold a password.
//
// Unless told not to, Open migrates the schema, under a lock. It refuses a
// schema that is newer than this program knows. The caller closes the store.
func Open(ctx context.Context, databaseURL string, opts ...Option) (Store, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if isPostgres(databaseURL) {
		s, err := postgres.Open(ctx, postgres.Config{URL: databaseURL, NoMigrate: o.noMigrate})
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	c, err := sqliteConfig(databaseURL)
	if err != nil {
		return nil, err
	}
	c.NoMigrate = o.noMigrate
	s, err := sqlite.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Migrate brings the schema at the URL to the version this program knows.
func Migrate(ctx context.Context, databaseURL string) error {
	if isPostgres(databaseURL) {
		return postgres.Migrate(ctx, databaseURL)
	}
	c, err := sqliteConfig(databaseURL)
	if err != nil {
		return err
	}
	return sqlite.Migrate(ctx, c)
}

// Embedded reports whether the URL names a store that only one process can use.
func Embedded(databaseURL string) bool {
	_, err := sqliteConfig(databaseURL)
	return err == nil
}

func isPostgres(databaseURL string) bool {
	return strings.HasPrefix(databaseURL, "postgres://") || strings.HasPrefix(databaseURL, "postgresql://")
}

// sqliteConfig reads the URL of a SQLite file. Its path is taken as it stands,
// so that a path of the system can be put behind the scheme.
func sqliteConfig(databaseURL string) (sqlite.Config, error) {
	scheme, rest, ok := strings.Cut(databaseURL, ":")
	if !ok {
		return sqlite.Config{}, errors.New("the database URL has no scheme; want " + accepted)
	}
	if scheme != "sqlite" && scheme != "file" {
		return sqlite.Config{}, fmt.Errorf("the database URL has scheme %q; want %s", scheme, accepted)
	}
	path, query, _ := strings.Cut(strings.TrimPrefix(rest, "//"), "?")
	if path == "" || strings.HasSuffix(path, "/") {
		return sqlite.Config{}, errors.New("the database URL names no file; want " + accepted)
	}
	relaxed, err := isRelaxed(query)
	return sqlite.Config{Path: path, Relaxed: relaxed}, err
}

func isRelaxed(query string) (bool, error) {
	switch query {
	case "", "synchronous=full":
		return false, nil
	case "synchronous=normal":
		return true, nil
	default:
		return false, errors.New("the URL of a SQLite file may end in ?synchronous=full or ?synchronous=normal, nothing else")
	}
}
