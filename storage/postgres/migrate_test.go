package postgres

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/internal/testenv"
)

func TestANewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	s := openStore(t, Config{URL: url})
	if _, err := s.pool.Exec(t.Context(), `INSERT INTO schema_versions (version, oldest) VALUES (999, 998)`); err != nil {
		t.Fatal(err)
	}
	for _, c := range []Config{{URL: url}, {URL: url, NoMigrate: true}} {
		_, err := Open(t.Context(), c)
		if !errors.Is(err, ErrNewerSchema) || !strings.Contains(err.Error(), "999") {
			t.Fatalf("open, NoMigrate %v: got error %v, want %v naming the version", c.NoMigrate, err, ErrNewerSchema)
		}
	}
	if err := Migrate(t.Context(), url); !errors.Is(err, ErrNewerSchema) {
		t.Fatalf("migrate: got error %v, want %v", err, ErrNewerSchema)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, ErrNewerSchema) {
		t.Fatalf("ping of a store whose schema has moved on: got error %v, want %v", err, ErrNewerSchema)
	}
}

// While processes are replaced one after the other, the old ones go on beside a
// schema that the new ones have expanded, and may start again.
func TestANewerSchemaThatOnlyExpandsWillDo(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	s := openStore(t, Config{URL: url})
	if _, err := s.pool.Exec(t.Context(), `
		ALTER TABLE jobs ADD COLUMN of_later text; INSERT INTO schema_versions (version, oldest) VALUES (999, 1)`); err != nil {
		t.Fatal(err)
	}
	for _, c := range []Config{{URL: url}, {URL: url, NoMigrate: true}} {
		everything(t, openStore(t, c))
	}
	if err := errors.Join(s.Ping(t.Context()), Migrate(t.Context(), url)); err != nil {
		t.Fatal(err)
	}
	everything(t, s)
}

// A database from before there was a word on oldest programs is migrated.
func TestADatabaseThatNamesNoOldestProgramIsMigrated(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	s := openStore(t, Config{URL: url})
	if _, err := s.pool.Exec(t.Context(), `ALTER TABLE schema_versions DROP COLUMN oldest`); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, ErrOlderSchema) {
		t.Fatalf("ping: got error %v, want %v", err, ErrOlderSchema)
	}
	everything(t, openStore(t, Config{URL: url}))
}

// A backup that reads the tables for hours keeps no process from starting.
func TestATableInUseDoesNotKeepAProcessFromStarting(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	s := openStore(t, Config{URL: url})
	next := time.Now().UTC().Truncate(week).Add(weeksAhead * week).Format("20060102")
	if _, err := s.pool.Exec(t.Context(), `DROP TABLE jobs_`+next); err != nil {
		t.Fatal(err)
	}
	reader, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close(context.Background())
	if _, err := reader.Exec(t.Context(), `BEGIN; SELECT FROM jobs LIMIT 1`); err != nil {
		t.Fatal(err)
	}
	everything(t, openStore(t, Config{URL: url}))
	if _, err := reader.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if err := s.Maintain(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	var there bool
	err = s.pool.QueryRow(t.Context(), `SELECT to_regclass('jobs_`+next+`') IS NOT NULL`).Scan(&there)
	if err != nil || !there {
		t.Errorf("the week is there: got %v, %v, want it made when the table is free", there, err)
	}
}

// While a migration waits for a table that a backup reads, old processes go on.
func TestAMigrationThatWaitsHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	backup, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer backup.Close(context.Background())
	other, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(context.Background())
	migrations, err := readMigrations()
	if err != nil {
		t.Fatal(err)
	}
	if err := makeVersions(ctx, other); err != nil {
		t.Fatal(err)
	}
	for _, m := range migrations[:2] {
		if err := apply(ctx, other, m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := backup.Exec(ctx, `BEGIN; SELECT FROM jobs LIMIT 1`); err != nil {
		t.Fatal(err)
	}
	migrated := make(chan error, 1)
	go func() { migrated <- Migrate(ctx, url) }()
	const query = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
	for waiting := 0; waiting == 0; {
		if err := other.QueryRow(ctx, query).Scan(&waiting); err != nil {
			t.Fatalf("wait until the migration waits: %v", err)
		}
	}
	if _, err := other.Exec(ctx, `SET statement_timeout = '5s'; SELECT FROM jobs LIMIT 1`); err != nil {
		t.Errorf("read beside a migration that waits: %v", err)
	}
	if _, err := backup.Exec(ctx, `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Errorf("migrate when the table is free: %v", err)
	}
}

func TestWithoutMigratingAnOlderSchemaIsRefused(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), Config{URL: testenv.Postgres(t), NoMigrate: true})
	if !errors.Is(err, ErrOlderSchema) {
		t.Fatalf("got error %v, want %v", err, ErrOlderSchema)
	}
}

func TestManyMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := Migrate(t.Context(), url); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	openStore(t, Config{URL: url, NoMigrate: true})
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"MaxConns":  {MaxConns: -1},
		"ChunkSize": {ChunkSize: -1},
		"Timeout":   {Timeout: -time.Second},
		"URL":       {URL: "postgres://user:pass word@host:notaport/x"},
	} {
		_, err := Open(t.Context(), c)
		if err == nil || strings.Contains(err.Error(), "pass word") {
			t.Fatalf("%s: got error %v, want one that does not tell the password", name, err)
		}
		if name != "URL" && !strings.Contains(err.Error(), name) {
			t.Fatalf("%s: got error %v, want one that names the field", name, err)
		}
	}
}

// partitionOf returns the partition that holds the job.
func partitionOf(t *testing.T, s *Store, job uuid.UUID) (name string) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), `SELECT tableoid::regclass::text FROM jobs WHERE id = $1`, job).Scan(&name); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestMaintainMakesRoomAhead(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	later := time.Now().Add(20 * week)
	submitAt := func(hash string, at time.Time) string {
		sub := testSubmission(hash)
		sub.Job.ID, sub.Execution = idAt(at), idAt(at)
		if _, err := s.Submit(t.Context(), sub); err != nil {
			t.Fatal(err)
		}
		return partitionOf(t, s, sub.Job.ID)
	}
	if got := submitAt("now", time.Now()); got == "jobs_default" {
		t.Fatalf("a job of now is in %s, want a week's partition", got)
	}
	if got := submitAt("soon", time.Now().Add(weeksAhead*week)); got == "jobs_default" {
		t.Fatalf("a job of %d weeks ahead is in %s, want a week's partition", weeksAhead, got)
	}
	if got := submitAt("too far", later); got != "jobs_default" {
		t.Fatalf("a job of a week without partition is in %s, want the default", got)
	}

	for range 2 {
		if err := s.Maintain(t.Context(), later); err != nil {
			t.Fatal(err)
		}
	}
	if got := submitAt("after", later.Add(week)); got == "jobs_default" {
		t.Fatalf("after Maintain: a job is in %s, want a week's partition", got)
	}
	if got := submitAt("beside", later); got != "jobs_default" {
		t.Fatalf("a week that has rows in the default partition: a job is in %s, want it there too", got)
	}
}

// idAt returns a UUIDv7 made at the given time.
func idAt(at time.Time) uuid.UUID {
	id := uuid.Must(uuid.NewV7())
	floor := floorID(at)
	copy(id[:6], floor[:6])
	return id
}

// The table of calls is read by others: its columns are pinned.
func TestColumnsOfCalls(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	want := map[string]string{
		"id": "uuid", "request_hash": "character(64)", "provider": "character varying(32)", "model": "text",
		"latency_ms": "integer", "ttft_ms": "integer", "status": "text", "error_class": "text", "http_status": "integer",
		"input_tokens": "bigint", "output_tokens": "bigint", "cached_tokens": "bigint", "reasoning_tokens": "bigint",
		"reserved_usd": "numeric(20,9)", "cost_usd": "numeric(20,9)", "created_at": "timestamp with time zone",
		"tenant": "text", "execution_id": "uuid", "fence": "bigint",
	}
	rows, err := s.pool.Query(t.Context(), `
		SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
		WHERE attrelid = 'calls'::regclass AND attnum > 0 AND NOT attisdropped`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	got := map[string]string{}
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			t.Fatal(err)
		}
		got[name] = kind
	}
	for name, kind := range want {
		if got[name] != kind {
			t.Errorf("calls.%s: got type %q, want %q", name, got[name], kind)
		}
	}
}

// Every table that holds what is a tenant's says whose it is, and every index
// over many tenants' rows that is not by id has the tenant.
func TestEveryRowHasItsTenant(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	for _, table := range append(partitioned(), "queue", "releases", "live_jobs", "idempotency") {
		var has bool
		err := s.pool.QueryRow(t.Context(), `
			SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = $1::text::regclass AND attname = 'tenant' AND attnotnull)`,
			table).Scan(&has)
		if err != nil || !has {
			t.Errorf("table %s: got tenant column %v, %v, want one that is not null", table, has, err)
		}
	}
}
