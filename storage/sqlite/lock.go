package sqlite

import (
	"errors"
	"fmt"
	"os"
)

// ErrHeld says that another store has the file open.
var ErrHeld = errors.New("the embedded store is for one process, and another has it open; " +
	"stop that one, or use Postgres for several")

// fileLock is held on a file of its own: SQLite's locks on the database file
// are lost when any handle of the process to that file is closed.
type fileLock struct{ file *os.File }

// lockFile takes the lock, or fails at once with [ErrHeld]. The system gives it
// up when the process dies.
func lockFile(path string) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockHandle(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &fileLock{file: f}, nil
}

// unlock gives the lock up. The file stays: removing it would let two
// processes lock two files of one name.
func (l *fileLock) unlock() error { return l.file.Close() }
