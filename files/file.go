package files

import (
	"time"

	"github.com/google/uuid"
)

const (
	// ChunkSize is how many bytes of a file are in one chunk; the last has what is left.
	ChunkSize = 1 << 20
	// MaxName is how many bytes the name of a file may have.
	MaxName = 255
)

// File is what a tenant has uploaded, or what Penstock tells as one. Times are UTC with
// microseconds.
type File struct {
	// ID is a UUIDv7: files sort by it as they were created.
	ID      uuid.UUID
	Tenant  string
	Purpose Purpose
	Name    string
	// Bytes is how many there are; of one that is being uploaded how many are kept.
	Bytes  int64
	Status Status
	// Bucket says that the chunks are not in the store.
	Bucket bool
	// Batch is the batch whose answers the file is made of as it is read; nil: it has
	// chunks of its own.
	Batch     uuid.UUID
	CreatedAt time.Time
	// ExpiresAt is when it is removed; zero: with what is past its retention.
	ExpiresAt time.Time
}

// Purpose is what a file is for, in the words of OpenAI's API.
type Purpose string

// The purposes.
const (
	PurposeBatch Purpose = "batch"
	// PurposeBatchOutput is that of files with a Batch.
	PurposeBatchOutput Purpose = "batch_output"
)

// Status is how far a file is.
type Status string

// The statuses. An upload that ends early leaves nothing that is told of.
const (
	StatusUploading Status = "uploading"
	StatusUploaded  Status = "uploaded"
)
