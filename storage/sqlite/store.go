package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the driver

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/group"
)

// Config says which file, and how it is used.
type Config struct {
	// Path is the database file. It and its directory are made if they are not
	// there, readable by the user alone. Beside it lie Path-wal and Path-shm,
	// which belong to it, and Path.lock.
	Path string
	// Relaxed lets the last commits be lost when the machine, not only the
	// process, fails: synchronous=NORMAL instead of FULL. It is faster, and
	// breaks the promise that what was accepted is kept.
	Relaxed bool
	// NoMigrate leaves the schema as it is: then Open fails with
	// [ErrOlderSchema] when it lacks something.
	NoMigrate bool
	// Readers is how many connections read; default 4.
	Readers int
	// BatchSize is how many concurrent writes share a transaction; default 128.
	BatchSize int
	// ChunkSize is how many jobs of one execution end in one transaction;
	// default 1000.
	ChunkSize int
}

func (c *Config) fill() error {
	if c.Path == "" {
		return errors.New("the path is empty")
	}
	for _, f := range []struct {
		name  string
		value *int
		usual int
	}{
		{"Readers", &c.Readers, 4},
		{"BatchSize", &c.BatchSize, 128},
		{"ChunkSize", &c.ChunkSize, 1000},
	} {
		if *f.value < 0 || *f.value > 1<<16 {
			return fmt.Errorf("%s is %d: want 1 to 65536, or 0 for %d", f.name, *f.value, f.usual)
		}
		if *f.value == 0 {
			*f.value = f.usual
		}
	}
	return nil
}

// Store is a [jobs.Store] in a SQLite file.
type Store struct {
	lock    *fileLock
	writeDB *sql.DB
	writer  *statements
	readDB  *sql.DB
	reader  *statements
	writes  *group.Group[write, any]
	chunk   int
	// died, in tests, is asked after the first chunk of an end: an error stands
	// for the death of the process.
	died func() error

	closing  sync.Once
	closed   chan struct{}
	closeErr error
}

var _ jobs.Store = (*Store)(nil)

// Open opens the file and, unless told not to, migrates it. It fails with
// [ErrHeld] when another store has the file open, and with [ErrNewerSchema]
// when a newer Penstock has migrated it.
//
// Whoever used the file before is dead, for the lock is free: Open forgets its
// workers and leases and takes back its releases. Those that were claimed count
// as crashes. The caller closes the store.
func Open(ctx context.Context, c Config) (*Store, error) {
	s, err := open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open the SQLite store %s: %w", c.Path, err)
	}
	return s, nil
}

// Migrate brings the schema of the file to the version this program knows and
// closes it again.
func Migrate(ctx context.Context, c Config) error {
	c.NoMigrate = false
	s, err := Open(ctx, c)
	if err != nil {
		return err
	}
	return s.Close()
}

func open(ctx context.Context, c Config) (*Store, error) {
	if err := c.fill(); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, err
	}
	if err := makeFile(path); err != nil {
		return nil, err
	}
	s := &Store{chunk: c.ChunkSize, closed: make(chan struct{}), died: func() error { return nil }}
	if s.lock, err = lockFile(path + ".lock"); err != nil {
		return nil, err
	}
	if err := s.start(ctx, path, c); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) start(ctx context.Context, path string, c Config) error {
	if err := s.connect(ctx, path, c); err != nil {
		return err
	}
	if err := s.prepareSchema(ctx, c.NoMigrate); err != nil {
		return err
	}
	s.writes = group.New(group.Config{MaxBatch: c.BatchSize, Down: isUnavailable}, s.commit)
	return s.heal(ctx)
}

// makeFile makes the database file, if it is not there, for this user alone.
func makeFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func (s *Store) connect(ctx context.Context, path string, c Config) error {
	synchronous := "synchronous(FULL)"
	if c.Relaxed {
		synchronous = "synchronous(NORMAL)"
	}
	var err error
	s.writeDB, err = sql.Open("sqlite", dsn(path, "journal_mode(WAL)", synchronous, "journal_size_limit(67108864)",
		"cache_size(-32768)"))
	if err != nil {
		return err
	}
	conn, err := s.writeDB.Conn(ctx)
	if err != nil {
		return err
	}
	s.writer = newStatements(conn)
	if s.readDB, err = sql.Open("sqlite", dsn(path, "query_only(1)")); err != nil {
		return err
	}
	s.readDB.SetMaxOpenConns(c.Readers)
	s.readDB.SetMaxIdleConns(c.Readers)
	s.reader = newStatements(s.readDB)
	return nil
}

func dsn(path string, pragmas ...string) string {
	q := url.Values{"_pragma": append([]string{"busy_timeout(5000)", "temp_store(MEMORY)"}, pragmas...)}
	return "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + q.Encode()
}

// Close waits for the writes under way, closes the file and gives up the lock.
// Whoever calls afterwards is told that the store is unavailable. Closing twice
// is harmless.
func (s *Store) Close() error {
	s.closing.Do(func() {
		close(s.closed)
		if s.writes != nil {
			s.writes.Close()
		}
		var errs []error
		for _, statements := range []*statements{s.reader, s.writer} {
			if statements != nil {
				errs = append(errs, statements.close())
			}
		}
		for _, db := range []*sql.DB{s.readDB, s.writeDB} {
			if db != nil {
				errs = append(errs, db.Close())
			}
		}
		s.closeErr = errors.Join(append(errs, s.lock.unlock())...)
	})
	return s.closeErr
}

// Ping says whether the file answers and has the schema this program knows.
func (s *Store) Ping(ctx context.Context) error {
	_, err := read(ctx, s, "ping", func(ctx context.Context, q *statements) (struct{}, error) {
		return struct{}{}, checkSchema(ctx, q)
	})
	return err
}
