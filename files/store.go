package files

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// ErrInUse says that a batch that has not ended reads the file.
var ErrInUse = errors.New("a batch that has not ended needs the file")

// Store keeps files. What a store is, is what storage/storagetest says; this is its
// outline. Every method is one transaction, and safe for use by many goroutines. Times
// are arguments, in UTC with microseconds. What is another tenant's, or not there, is
// [jobs.ErrNotFound]; failure to reach the database is a *[jobs.Error] with code
// [jobs.CodeStoreUnavailable].
type Store interface {
	Chunks
	// CreateFile keeps f: one that is [StatusUploading], or that has a Batch.
	CreateFile(ctx context.Context, f File) error
	// FinishFile says that all bytes of an upload are kept: it is [StatusUploaded] then.
	FinishFile(ctx context.Context, tenant string, id uuid.UUID, bytes int64) error
	// File returns a file that is [StatusUploaded] and has not expired by now.
	File(ctx context.Context, tenant string, id uuid.UUID, now time.Time) (File, error)
	// Files lists such files.
	Files(ctx context.Context, q Query, now time.Time) ([]File, error)
	// DeleteFile removes a file; its chunks may go in later sweeps. [ErrInUse] while a
	// batch that has not ended has it as its input.
	DeleteFile(ctx context.Context, tenant string, id uuid.UUID) error
	// SweepFiles removes up to limit files that have expired by now and no batch needs,
	// those older than retained, and uploads that were begun before abandoned and never
	// finished. It returns those of which the chunks are in a bucket and can go, until
	// ForgetFiles is told that they are gone, and whether there may be more.
	SweepFiles(ctx context.Context, now, retained, abandoned time.Time, limit int) (inBucket []uuid.UUID, more bool, err error)
	// ForgetFiles forgets files that were removed, and whose chunks are gone from the bucket.
	ForgetFiles(ctx context.Context, ids []uuid.UUID) error
}

// Chunks is where the bytes of files are: the store, or a bucket.
type Chunks interface {
	// PutChunk keeps the nth chunk of a file, from 0 on. Repeating it is harmless.
	PutChunk(ctx context.Context, tenant string, file uuid.UUID, n int, data []byte) error
	// Chunk returns it, or [jobs.ErrNotFound].
	Chunk(ctx context.Context, tenant string, file uuid.UUID, n int) ([]byte, error)
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
