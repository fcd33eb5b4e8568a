package sealed

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
)

// Files is a [files.Store] that seals the chunks that the one below it keeps.
type Files struct {
	files.Catalog
	*Chunks
}

// Bucket is a [files.Bucket] that seals the chunks that the one below it keeps.
type Bucket struct {
	*Chunks

	below files.Bucket
}

var (
	_ files.Store  = Files{}
	_ files.Bucket = Bucket{}
)

// Files returns a store of files that stands on b and seals with s's keys.
func (s *Store) Files(b files.Store) Files {
	return Files{Catalog: b, Chunks: &Chunks{below: b, sealer: s}}
}

// Bucket returns a bucket that stands on b and seals with s's keys: what leaves this
// process is sealed.
func (s *Store) Bucket(b files.Bucket) Bucket {
	return Bucket{Chunks: &Chunks{below: b, sealer: s}, below: b}
}

// Remove deletes all chunks of a file: see [files.Bucket].
func (b Bucket) Remove(ctx context.Context, file uuid.UUID) error { return b.below.Remove(ctx, file) }

// Chunks seals chunks. One whose key was erased is an *[jobs.Error] with code
// [jobs.CodeErased]; one that opens with no key, with code [jobs.CodeUnreadable].
type Chunks struct {
	below  files.Chunks
	sealer *Store
}

// PutChunk seals the bytes: see [files.Chunks].
func (c *Chunks) PutChunk(ctx context.Context, chunk files.Chunk) error {
	var err error
	chunk.Data, chunk.KeyID, err = c.sealer.seal(ctx, chunkOf(chunk.Tenant, chunk.File, chunk.N), chunk.Data)
	if err != nil {
		return err
	}
	return c.below.PutChunk(ctx, chunk)
}

// Chunk opens the bytes: see [files.Chunks]. In plain they may begin as an envelope does.
func (c *Chunks) Chunk(ctx context.Context, tenant string, file uuid.UUID, n int) ([]byte, error) {
	kept, err := c.below.Chunk(ctx, tenant, file, n)
	if err != nil {
		return nil, err
	}
	data, err := c.sealer.open(ctx, chunkOf(tenant, file, n), kept)
	if errors.Is(err, errUnknownKey) {
		return kept, nil
	}
	if gone := refusal(err); gone.Code != "" {
		return nil, &jobs.Error{Code: jobs.Code(gone.Code), Message: "the file: " + gone.Message}
	}
	return data, err
}

func chunkOf(tenant string, file uuid.UUID, n int) place {
	p := place{tenant: tenant, purpose: fileChunk, execution: file}
	binary.BigEndian.PutUint64(p.call[:], uint64(n)) //nolint:gosec // counts from 0
	return p
}
