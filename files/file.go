package files

import (
	"encoding/binary"
	"fmt"
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
	// ID is that of [NewID]: files sort by it as they were created, and age by it.
	ID      uuid.UUID
	Tenant  string
	Purpose Purpose
	Name    string
	// Bytes is how many there are; zero as long as it is being uploaded, and with a Batch.
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

// NewID returns a new UUIDv7 of the millisecond at which a file is created.
func NewID(at time.Time) (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("name a file: %w", err)
	}
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(at.UnixMilli(), 0))<<16)
	copy(id[:6], ms[:6])
	return id, nil
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
