package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// ErrNewerSchema says that a newer Penstock has migrated the database: this
// one must not touch it.
var ErrNewerSchema = errors.New("the database schema is newer than this program knows; run a newer Penstock")

// ErrOlderSchema says that the database lacks migrations that this program
// needs.
var ErrOlderSchema = errors.New("the database schema is older than this program needs; migrate it first")

// migrationLock is the key of the advisory lock under which the schema changes.
const migrationLock = 0x70656e73746f636b // "penstock"

// migration is one step of the schema. Its version is the number its file name
// begins with; versions count from 1 without gaps.
type migration struct {
	version int
	sql     string
}

// Migrate brings the schema of the database at url to the version this program
// knows, and makes partitions for the weeks to come. Processes that do so at
// once take turns. Each version is one transaction. The error is
// [ErrNewerSchema] when the schema is newer.
func Migrate(ctx context.Context, url string) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("read the database URL: %w", err)
	}
	config.RuntimeParams["lock_timeout"] = "60000"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fail(ctx, "connect to migrate", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := migrate(ctx, conn); err != nil {
		if errors.Is(err, ErrNewerSchema) {
			return err
		}
		return fail(ctx, "migrate", err)
	}
	return nil
}

// migrate ends with the connection, and so does its lock.
func migrate(ctx context.Context, conn *pgx.Conn) error {
	migrations, err := readMigrations()
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(migrationLock)); err != nil {
		return err
	}
	version, err := schemaVersion(ctx, conn)
	if err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("schema version %d, known %d: %w", version, len(migrations), ErrNewerSchema)
	}
	for _, m := range migrations[version:] {
		if err := apply(ctx, conn, m); err != nil {
			return err
		}
	}
	return makePartitions(ctx, conn, time.Now())
}

func apply(ctx context.Context, conn *pgx.Conn, m migration) error {
	script := fmt.Sprintf("BEGIN;\n%s\nINSERT INTO schema_versions (version) VALUES (%d);\nCOMMIT;", m.sql, m.version)
	_, err := conn.PgConn().Exec(ctx, script).ReadAll()
	return err
}

// schemaVersion returns the version of the schema, zero for an empty database.
// It makes the table that holds it.
func schemaVersion(ctx context.Context, conn *pgx.Conn) (int, error) {
	const create = `CREATE TABLE IF NOT EXISTS schema_versions (
		version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`
	if _, err := conn.Exec(ctx, create); err != nil {
		return 0, err
	}
	var version int
	err := conn.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM schema_versions`).Scan(&version)
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

// Ping says whether the database answers and has the schema this program knows.
func (s *Store) Ping(ctx context.Context) error {
	return s.bounded(ctx, "ping", s.checkSchema)
}

// checkSchema fails with [ErrOlderSchema] or [ErrNewerSchema] unless the schema
// is of the version this program knows.
func (s *Store) checkSchema(ctx context.Context) error {
	migrations, err := readMigrations()
	if err != nil {
		return err
	}
	var version int
	err = s.pool.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM schema_versions`).Scan(&version)
	if isUndefinedTable(err) {
		version, err = 0, nil
	}
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

func isUndefinedTable(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "42P01"
}
