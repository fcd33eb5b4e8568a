package files

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// What a store may answer.
var (
	// ErrNotFound says that a file, or a chunk of it, is not there, or is another tenant's.
	ErrNotFound = &jobs.Error{Code: jobs.CodeNotFound, Message: "no such file"}
	// ErrInUse says that a batch that has not ended reads the file.
	ErrInUse = &jobs.Error{Code: jobs.CodeConflict, Message: "a batch that has not ended needs the file"}
)

// Store keeps files, and the bytes of those that are not in a bucket. What a store is, is
// what storage/storagetest says; this is its outline. Every method but SweepFiles is one
// transaction, and all are safe for use by many goroutines. Times are arguments, in UTC
// with microseconds. What is another tenant's, or not there, is [ErrNotFound]; failure to
// reach the database is a *[jobs.Error] with code [jobs.CodeStoreUnavailable].
type Store interface {
	Catalog
	Chunks
}

// Catalog is what a store knows of files beside their bytes.
type Catalog interface {
	// CreateFile keeps f: one that is [StatusUploading], or that has a Batch.
	CreateFile(ctx context.Context, f File) error
	// FinishFile says that all bytes of an upload are kept: it is [StatusUploaded] then. It
	// expires when it was to, unless another time is given. Repeating it is harmless.
	FinishFile(ctx context.Context, tenant string, id uuid.UUID, bytes int64, expires time.Time) error
	// File returns a file that is [StatusUploaded] and has not expired by now.
	File(ctx context.Context, tenant string, id uuid.UUID, now time.Time) (File, error)
	// Files lists such files.
	Files(ctx context.Context, q Query, now time.Time) ([]File, error)
	// DeleteFile removes a file, or an upload that has not ended; its chunks go in a later
	// sweep. [ErrInUse] while a batch that has not ended has it as its input.
	DeleteFile(ctx context.Context, tenant string, id uuid.UUID) error
	// SweepFiles removes files as s says, and drops the chunks of those that were removed.
	// It returns up to s.Limit of those whose chunks are in a bucket, again and again until
	// ForgetFiles is told that they are gone, and whether there may be more to do. It is
	// many transactions.
	SweepFiles(ctx context.Context, s Sweep) (inBucket []uuid.UUID, more bool, err error)
	// ForgetFiles forgets files that were removed, and whose chunks are gone from the bucket.
	ForgetFiles(ctx context.Context, ids []uuid.UUID) error
}

// Chunks is where the bytes of files are: the store, or a bucket.
type Chunks interface {
	// PutChunk keeps a chunk of an upload. Repeating it is harmless. The bytes are the
	// caller's again when it returns nil.
	PutChunk(ctx context.Context, c Chunk) error
	// Chunk returns the bytes of the nth chunk of a file, or [ErrNotFound]. They are the
	// caller's.
	Chunk(ctx context.Context, tenant string, file uuid.UUID, n int) ([]byte, error)
}

// Bucket keeps chunks outside the store. It knows nothing of the files: which there are
// is in the store.
type Bucket interface {
	Chunks
	// Remove deletes all chunks of a file. That there are none is no error.
	Remove(ctx context.Context, file uuid.UUID) error
}

// Chunk is a piece of a file.
type Chunk struct {
	Tenant string
	File   uuid.UUID
	// N counts from 0.
	N    int
	Data []byte
	// KeyID is the key that Data is sealed with; nil: it is in plain.
	KeyID uuid.UUID
}

// Query selects files of a tenant. Zero fields select all.
type Query struct {
	Tenant  string
	Purpose Purpose
	// After is the id after which to go on, in the order of the list.
	After uuid.UUID
	// Ascending lists the oldest first; else the newest.
	Ascending bool
	// Limit is at least 1.
	Limit int
}

// Sweep says which files go. Those that a batch needs that has not ended stay in any case.
type Sweep struct {
	// Now is by when a file has expired.
	Now time.Time
	// Retention is that of jobs, and of files as well.
	Retention jobs.Retention
	// Abandoned is before when an upload was begun that will not be finished any more.
	Abandoned time.Time
	// Limit is how many files are removed at most, of each kind; at least 1.
	Limit int
}
