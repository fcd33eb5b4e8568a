package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-dev/penstock/jobs"
)

// Store is a [jobs.Store] in a PostgreSQL database.
type Store struct {
	pool    *pgxpool.Pool
	timeout time.Duration
	chunk   int
	groups  groups
	// lists bounds the lists under way: one may read a tenant's whole history,
	// and must leave connections to all else.
	lists chan struct{}
	// interrupt, if set, ends Finish and Reclaim with its error after their
	// first chunk: tests let them die there.
	interrupt error
}

// Config says which database, and how it is used.
type Config struct {
	// URL is a connection string, as URL or as key=value pairs. Run-time
	// parameters named in it, such as statement_timeout, win over those below.
	URL string
	// MaxConns bounds the connections in use; default 16.
	MaxConns int
	// NoMigrate leaves the schema as it is: then Open fails with
	// [ErrOlderSchema] when it lacks something.
	NoMigrate bool
	// Timeout bounds each transaction, and the wait for a connection; default 10 s.
	Timeout time.Duration
	// LockTimeout bounds each wait for a lock; default 5 s.
	LockTimeout time.Duration
	// ConnectTimeout bounds the making of a connection; default 2 s.
	ConnectTimeout time.Duration
	// ChunkSize is how many jobs of one execution end in one transaction;
	// default 500.
	ChunkSize int
	// BatchSize is how many concurrent writes of a kind share a transaction;
	// default 128. One turns coalescing off.
	BatchSize int
	// Committers is how many batches of a kind are under way at once; default 2:
	// one is written while another waits for the disk. More makes the batches
	// smaller, and each costs the database more.
	Committers int

	// dial, if set, makes the connections of the pool.
	dial pgconn.DialFunc
}

func (c *Config) fill() error {
	for _, f := range []struct {
		name  string
		value *int
		usual int
	}{
		{"MaxConns", &c.MaxConns, 16},
		{"ChunkSize", &c.ChunkSize, 500},
		{"BatchSize", &c.BatchSize, 128},
		{"Committers", &c.Committers, 2},
	} {
		if *f.value < 0 || *f.value > 1<<16 {
			return fmt.Errorf("%s is %d: want 1 to 65536, or 0 for %d", f.name, *f.value, f.usual)
		}
		if *f.value == 0 {
			*f.value = f.usual
		}
	}
	for _, f := range []struct {
		name  string
		value *time.Duration
		usual time.Duration
	}{
		{"Timeout", &c.Timeout, 10 * time.Second},
		{"LockTimeout", &c.LockTimeout, 5 * time.Second},
		{"ConnectTimeout", &c.ConnectTimeout, 2 * time.Second},
	} {
		if *f.value < 0 || (*f.value > 0 && *f.value < time.Millisecond) {
			return fmt.Errorf("%s is %v: want at least 1ms, or 0 for %v", f.name, *f.value, f.usual)
		}
		if *f.value == 0 {
			*f.value = f.usual
		}
	}
	return nil
}

// Open connects to the database and, unless told not to, migrates it. It fails
// with [ErrNewerSchema] when a newer Penstock has migrated it, and with code
// store_unavailable when it cannot be reached. The caller closes the store.
func Open(ctx context.Context, c Config) (*Store, error) {
	if err := c.fill(); err != nil {
		return nil, fmt.Errorf("open a Postgres store: %w", err)
	}
	if !c.NoMigrate {
		if err := Migrate(ctx, c.URL); err != nil {
			return nil, fmt.Errorf("open a Postgres store: %w", err)
		}
	}
	pool, err := newPool(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open a Postgres store: %w", err)
	}
	s := &Store{
		pool: pool, timeout: c.Timeout, chunk: c.ChunkSize, lists: make(chan struct{}, max(1, c.MaxConns/4)),
	}
	if err := s.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open a Postgres store: %w", err)
	}
	s.groups = s.newGroups(c)
	return s, nil
}

// Close waits for the writes under way and closes the connections. Whoever
// calls afterwards is told that the store is unavailable.
func (s *Store) Close() error {
	s.groups.close()
	s.pool.Close()
	return nil
}

var _ jobs.Store = (*Store)(nil)
