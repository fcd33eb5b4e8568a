package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// ErrNewerSchema says that a newer Penstock has migrated the database so that
// this one must not touch it.
var ErrNewerSchema = errors.New("the database schema is newer than this program can work with; run a newer Penstock")

// ErrOlderSchema says that the database lacks migrations that this program
// needs.
var ErrOlderSchema = errors.New("the database schema is older than this program needs; migrate it first")

// migrationLock is the key of the advisory lock under which the schema changes.
const migrationLock = 0x70656e73746f636b // "penstock"

// migration is one step of the schema. Its version is the number its file name
// begins with; versions count from 1 without gaps.
//
// A program works with a later schema as long as its own version is not below
// oldest, so that old and new processes run side by side while one after the
// other is replaced: what expands the schema leaves oldest alone, what takes
// something away that older programs use says so in a line of its file:
//
//	-- oldest program: 7
type migration struct {
	version, oldest int
	sql             string
}

var oldestProgram = regexp.MustCompile(`(?m)^-- oldest program: (\d+)$`)

// Migrate brings the schema of the database at url to the version this program
// knows, and makes partitions for the weeks to come. Processes that do so at
// once take turns. Each version is one transaction. A schema that is newer is
// left as it is; the error is [ErrNewerSchema] when this program is too old for
// it.
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
	if err := makeVersions(ctx, conn); err != nil {
		return err
	}
	schema, err := readSchema(ctx, conn)
	if err != nil {
		return err
	}
	if err := schema.suits(len(migrations)); err != nil {
		return err
	}
	for _, m := range migrations[min(schema.version, len(migrations)):] {
		if err := apply(ctx, conn, m); err != nil {
			return err
		}
	}
	// A table that is in use by a backup, say, gets them from Maintain. Until then
	// its default partition takes what has no other.
	if err := makePartitions(ctx, conn, time.Now()); !isLockTimeout(err) && !isStatementTimeout(err) {
		return err
	}
	return nil
}

const (
	// applyFor is how long a migration tries to have its tables, with applyPause
	// between two tries.
	applyFor   = time.Minute
	applyPause = 200 * time.Millisecond
)

// apply brings the schema one version further. It waits for its locks but
// shortly, again and again: whoever comes after one that waits for a table waits
// too, and a backup may read it for hours.
func apply(ctx context.Context, conn *pgx.Conn, m migration) error {
	script := fmt.Sprintf(
		"BEGIN; SET LOCAL lock_timeout = '500ms';\n%s\nINSERT INTO schema_versions (version, oldest) VALUES (%d, %d);\nCOMMIT;",
		m.sql, m.version, m.oldest)
	for begun := time.Now(); ; {
		_, err := conn.PgConn().Exec(ctx, script).ReadAll()
		if err == nil {
			return nil
		}
		rollback(ctx, conn)
		if !isLockTimeout(err) || time.Since(begun) > applyFor {
			return err
		}
		if err := wait(ctx, applyPause); err != nil {
			return err
		}
	}
}

// makeVersions makes the table that tells of the schema.
func makeVersions(ctx context.Context, conn *pgx.Conn) error {
	const create = `
		CREATE TABLE IF NOT EXISTS schema_versions (
			version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
		ALTER TABLE schema_versions ADD COLUMN IF NOT EXISTS oldest integer NOT NULL DEFAULT 1`
	_, err := conn.PgConn().Exec(ctx, create).ReadAll()
	return err
}

// schema is what the database tells of its schema: its version, zero when it is
// empty, and that of the oldest program that works with it.
type schema struct{ version, oldest int }

// readSchema takes a database without the table for an empty one, or an old one.
func readSchema(ctx context.Context, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
},
) (s schema, err error) {
	const query = `SELECT coalesce(max(version), 0), coalesce(max(oldest), 0) FROM schema_versions`
	err = db.QueryRow(ctx, query).Scan(&s.version, &s.oldest)
	if isUndefined(err) {
		return schema{}, nil
	}
	return s, err
}

// suits fails with [ErrNewerSchema] when the schema is not for programs of the
// given version.
func (s schema) suits(known int) error {
	if s.oldest > known {
		return fmt.Errorf("schema version %d, for programs of %d or later; this one is of %d: %w",
			s.version, s.oldest, known, ErrNewerSchema)
	}
	return nil
}

func readMigrations() ([]migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []migration
	oldest := 1
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
		if line := oldestProgram.FindSubmatch(sql); line != nil {
			if oldest, err = strconv.Atoi(string(line[1])); err != nil || oldest > version {
				return nil, fmt.Errorf("migration %s: want an oldest program of at most %d", name, version)
			}
		}
		all = append(all, migration{version: version, oldest: oldest, sql: string(sql)})
	}
	return all, nil
}

// Ping says whether the database answers and has a schema this program works
// with.
func (s *Store) Ping(ctx context.Context) error {
	return s.bounded(ctx, "ping", s.checkSchema)
}

// checkSchema fails with [ErrOlderSchema] or [ErrNewerSchema] unless this program
// works with the schema.
func (s *Store) checkSchema(ctx context.Context) error {
	migrations, err := readMigrations()
	if err != nil {
		return err
	}
	schema, err := readSchema(ctx, s.pool)
	if err != nil {
		return err
	}
	known := len(migrations)
	if schema.version < known {
		return fmt.Errorf("schema version %d, needed %d: %w", schema.version, known, ErrOlderSchema)
	}
	return schema.suits(known)
}

// isUndefined reports that a table or a column is not there.
func isUndefined(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == "42P01" || pg.Code == "42703")
}
