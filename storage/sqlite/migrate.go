package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// ErrNewerSchema says that a newer Penstock has migrated the file: this one
// must not touch it.
var ErrNewerSchema = errors.New("the database schema is newer than this program knows; run a newer Penstock")

// ErrOlderSchema says that the file lacks migrations that this program needs.
var ErrOlderSchema = errors.New("the database schema is older than this program needs; migrate it first")

// migration is one step of the schema. Its version is the number its file name
// begins with; versions count from 1 without gaps.
type migration struct {
	version int
	sql     string
}

// prepareSchema migrates the file, or checks it if it must not. The file lock
// keeps everybody else out.
func (s *Store) prepareSchema(ctx context.Context, noMigrate bool) error {
	if noMigrate {
		return checkSchema(ctx, s.writer)
	}
	migrations, err := readMigrations()
	if err != nil {
		return err
	}
	version, err := schemaVersion(ctx, s.writer)
	if err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("schema version %d, known %d: %w", version, len(migrations), ErrNewerSchema)
	}
	for _, m := range migrations[version:] {
		if err := s.apply(ctx, m); err != nil {
			return fmt.Errorf("migrate to schema version %d: %w", m.version, err)
		}
	}
	return nil
}

// apply runs one migration in one transaction.
func (s *Store) apply(ctx context.Context, m migration) error {
	for _, sql := range []string{
		"BEGIN IMMEDIATE",
		"CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY) STRICT",
		m.sql,
		fmt.Sprintf("INSERT INTO schema_version (version) VALUES (%d)", m.version),
		"COMMIT",
	} {
		if err := s.writer.script(ctx, sql); err != nil {
			return errors.Join(err, s.writer.script(context.WithoutCancel(ctx), "ROLLBACK"))
		}
	}
	return nil
}

// checkSchema fails with [ErrOlderSchema] or [ErrNewerSchema] unless the schema
// is of the version this program knows.
func checkSchema(ctx context.Context, q *statements) error {
	migrations, err := readMigrations()
	if err != nil {
		return err
	}
	version, err := schemaVersion(ctx, q)
	if err != nil {
		return err
	}
	known := len(migrations)
	if version > known {
		return fmt.Errorf("schema version %d, known %d: %w", version, known, ErrNewerSchema)
	}
	if version < known {
		return fmt.Errorf("schema version %d, needed %d: %w", version, known, ErrOlderSchema)
	}
	return nil
}

// schemaVersion returns the version of the schema, zero for an empty file.
func schemaVersion(ctx context.Context, q *statements) (int, error) {
	var there int
	err := q.row(ctx, `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_version'`).Scan(&there)
	if err != nil || there == 0 {
		return 0, err
	}
	var version int
	err = q.row(ctx, `SELECT coalesce(max(version), 0) FROM schema_version`).Scan(&version)
	return version, err
}

func readMigrations() ([]migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []migration
	for i, name := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: want number %d", name, i+1)
		}
		sql, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, migration{version: version, sql: string(sql)})
	}
	return all, nil
}
