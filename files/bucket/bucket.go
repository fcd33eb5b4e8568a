// Package bucket keeps chunks of files as objects in a bucket that speaks S3, one object
// for each.
package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/penstock-dev/penstock/files"
)

const (
	// timeout bounds one chunk, with its retries; emptying bounds the removal of a file.
	timeout  = 30 * time.Second
	emptying = 5 * time.Minute
	// attempts is how often a request is made that fails in a way that may pass.
	attempts = 3
	// maxObject is more than any chunk has, sealed.
	maxObject = 2 * files.ChunkSize
)

// Bucket is a [files.Bucket] over S3. Its credentials are those of the usual places: the
// environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), the shared
// file of the AWS tools, a web identity, the container or the instance.
//
// What cannot be done now is an *[jobs.Error] with code [jobs.CodeStoreUnavailable], whose
// cause names what to do.
type Bucket struct {
	at     Address
	client minio.Core
}

var _ files.Bucket = (*Bucket)(nil)

// Open returns the bucket at an address. It asks nothing of it.
func Open(at Address) (*Bucket, error) {
	client, err := minio.NewCore(at.host(), &minio.Options{
		Creds: credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{},
		}),
		Secure: at.secure(), Region: at.Region, MaxRetries: attempts,
	})
	if err != nil {
		return nil, fmt.Errorf("open the bucket %s: %w", at.Bucket, err)
	}
	return &Bucket{at: at, client: *client}, nil
}

// Check says whether the bucket is there, and takes the credentials.
func (b *Bucket) Check(ctx context.Context) error {
	there, err := b.client.BucketExists(ctx, b.at.Bucket)
	if err == nil && !there {
		err = minio.ErrorResponse{Code: minio.NoSuchBucket, StatusCode: http.StatusNotFound}
	}
	if err != nil {
		return b.failed(ctx, "look for it", err)
	}
	return nil
}

// PutChunk keeps a chunk: see [files.Chunks]. Its SHA-256 goes with it, for the server to
// refuse other bytes.
func (b *Bucket) PutChunk(ctx context.Context, c files.Chunk) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	sum := sha256.Sum256(c.Data)
	_, err := b.client.PutObject(ctx, b.at.Bucket, b.key(c.File, c.N), bytes.NewReader(c.Data), int64(len(c.Data)), "",
		hex.EncodeToString(sum[:]), minio.PutObjectOptions{DisableContentSha256: true}) // it is there already
	if err != nil {
		return b.failed(ctx, "put an object", err)
	}
	return nil
}

// Chunk returns a chunk: see [files.Chunks].
func (b *Bucket) Chunk(ctx context.Context, _ string, file uuid.UUID, n int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, info, _, err := b.client.GetObject(ctx, b.at.Bucket, b.key(file, n), minio.GetObjectOptions{})
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return nil, files.ErrNotFound
	}
	if err != nil {
		return nil, b.failed(ctx, "get an object", err)
	}
	defer body.Close()
	if info.Size < 0 || info.Size > maxObject {
		return nil, fmt.Errorf("an object of %d bytes in the bucket %s is none of ours", info.Size, b.at.Bucket)
	}
	data := make([]byte, info.Size)
	if _, err := io.ReadFull(body, data); err != nil {
		return nil, b.failed(ctx, "get an object", err)
	}
	return data, nil
}

// Remove deletes the chunks of a file: see [files.Bucket].
func (b *Bucket) Remove(ctx context.Context, file uuid.UUID) error {
	ctx, cancel := context.WithTimeout(ctx, emptying)
	defer cancel()
	var unlisted error
	all := func(yield func(minio.ObjectInfo) bool) {
		for o := range b.client.ListObjectsIter(ctx, b.at.Bucket, minio.ListObjectsOptions{Prefix: b.folder(file)}) {
			if unlisted = o.Err; unlisted != nil || !yield(o) {
				return
			}
		}
	}
	results, err := b.client.RemoveObjectsWithIter(ctx, b.at.Bucket, all, minio.RemoveObjectsOptions{})
	if err != nil {
		return b.failed(ctx, "remove objects", err)
	}
	for r := range results {
		if r.Err != nil {
			return b.failed(ctx, "remove an object", r.Err)
		}
	}
	if unlisted == nil {
		unlisted = ctx.Err() // then the list ends early, and does not say so
	}
	if unlisted != nil {
		return b.failed(ctx, "list", unlisted)
	}
	return nil
}

func (b *Bucket) folder(file uuid.UUID) string { return b.at.Prefix + file.String() + "/" }

func (b *Bucket) key(file uuid.UUID, n int) string { return fmt.Sprintf("%s%06d", b.folder(file), n) }
