package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/storagetest"
)

// migrated is the schema that tests begin with, but for those of the migrations.
var migrated = testenv.NewTemplate(Migrate)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := migrated.Drop(); err != nil {
		fmt.Fprintln(os.Stderr, "drop the template:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// openStore opens a store and closes it when the test ends. Without a URL in c
// it is one in a database of its own.
func openStore(t testing.TB, c Config) *Store {
	t.Helper()
	if c.URL == "" {
		c.URL = migrated.Postgres(t)
	}
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// databases lends databases of one schema to tests, one after the other: making
// one takes longer than most tests.
type databases chan string

// newDatabases makes as many as tests run at once.
func newDatabases(t *testing.T) databases {
	t.Helper()
	d := make(databases, runtime.GOMAXPROCS(0))
	for range cap(d) {
		d <- migrated.Postgres(t)
	}
	return d
}

// open returns a store in an empty database, which is given back when the test
// ends.
func (d databases) open(t *testing.T, c Config) *Store {
	t.Helper()
	c.URL, c.NoMigrate = <-d, true
	t.Cleanup(func() {
		empty(t, c.URL)
		d <- c.URL
	})
	return openStore(t, c)
}

// empty deletes all rows but those that tell the schema's version.
func empty(t *testing.T, url string) {
	t.Helper()
	const script = `
		DO $$
		DECLARE t regclass;
		BEGIN
			FOR t IN SELECT oid FROM pg_class
				WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
					AND relname <> 'schema_versions'
			LOOP
				EXECUTE 'DELETE FROM ' || t;
			END LOOP;
		END $$`
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(context.Background())
	if _, err := conn.PgConn().Exec(context.Background(), script).ReadAll(); err != nil {
		t.Error(err)
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	d := newDatabases(t)
	storagetest.Run(t, func(t *testing.T) jobs.Store {
		t.Helper()
		return d.open(t, Config{})
	})
}

func TestKeys(t *testing.T) {
	t.Parallel()
	d := newDatabases(t)
	storagetest.RunKeys(t, func(t *testing.T) storagetest.KeyStore {
		t.Helper()
		return d.open(t, Config{})
	})
}

func TestStoreInterrupted(t *testing.T) {
	t.Parallel()
	d := newDatabases(t)
	storagetest.RunInterrupted(t, func(t *testing.T, chunk int) jobs.Store {
		t.Helper()
		s := d.open(t, Config{ChunkSize: chunk})
		s.interrupt = errors.New("the process died")
		return s
	})
}

func TestLanes(t *testing.T) {
	t.Parallel()
	d := newDatabases(t)
	storagetest.RunLanes(t, func(t *testing.T) storagetest.LaneStore {
		t.Helper()
		return d.open(t, Config{})
	})
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	d := newDatabases(t)
	storagetest.RunWebhooks(t, func(t *testing.T) storagetest.WebhookStore {
		t.Helper()
		return d.open(t, Config{})
	})
}

func TestFiles(t *testing.T) {
	t.Parallel()
	d := newDatabases(t)
	storagetest.RunFiles(t, func(t *testing.T) storagetest.FileStore {
		t.Helper()
		return d.open(t, Config{})
	})
}

func TestBatches(t *testing.T) {
	t.Parallel()
	d := newDatabases(t)
	storagetest.RunBatches(t, func(t *testing.T) storagetest.BatchStore {
		t.Helper()
		return d.open(t, Config{})
	})
}
