package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/minio/minio-go/v7"

	"github.com/penstock-dev/penstock/jobs"
)

// failed is an error of the library as one that a caller can act on, and an operator.
func (b *Bucket) failed(ctx context.Context, doing string, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("bucket of files: %s: %w", doing, context.Canceled)
	}
	return &jobs.Error{
		Code: jobs.CodeStoreUnavailable, Message: "the bucket that keeps files cannot be used now: try again",
		Err: fmt.Errorf("bucket %s at %s: %s: %s: %w", b.at.Bucket, b.at.host(), doing, remedy(err), err),
	}
}

// remedy says what is to be done about an error.
func remedy(err error) string {
	said := minio.ToErrorResponse(err)
	switch {
	case said.Code == minio.NoSuchBucket:
		return "there is no such bucket: make it, or correct files.url"
	case said.StatusCode == http.StatusForbidden || said.StatusCode == http.StatusUnauthorized:
		return "it refuses the credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the instance a role, " +
			"with leave to get, put, delete and list"
	case said.StatusCode != 0:
		return "it answers with an error: see what its server says"
	default:
		return "it cannot be reached: check the endpoint in files.url, and the network"
	}
}
