package files

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

const (
	// abandonedAfter is how old an upload is before it counts as abandoned, and writesFor
	// how long one can be written to: an upload that goes on is not swept.
	abandonedAfter = 24 * time.Hour
	writesFor      = 12 * time.Hour
	// sweepLimit is how many files of each kind one sweep of the store removes.
	sweepLimit = 100
)

// Config is what a [Service] needs. Store is required.
type Config struct {
	Store Store
	// Bucket keeps the bytes of new files; nil: the store does. What is in a bucket can be
	// read only with it.
	Bucket Bucket
	// Redact returns what is kept of a line of an upload for batches, without what ends it;
	// nil: all is kept as it is sent. A line that it fails for ends the upload: an
	// *[jobs.Error] is the caller's fault, and is told with the line's number.
	Redact func(ctx context.Context, tenant string, line []byte) ([]byte, error)
	// Retention is that of jobs, and of files; the zero value keeps them until they expire.
	Retention jobs.Retention
	// MaxBytes is how many bytes a file may have; 0: 512 MiB.
	MaxBytes int64
	// MaxUploads is how many uploads may be under way at once in this process; a tenant has
	// half of them. Each holds a chunk in memory, and another while that is sealed. 0: 32.
	MaxUploads int
}

const (
	defaultMaxBytes   = 512 << 20
	defaultMaxUploads = 32
)

// Service takes files in and gives them back. It is safe for use by many goroutines.
type Service struct {
	cfg     Config
	uploads uploads
}

// NewService returns a service, or an error that names the field at fault.
func NewService(cfg Config) (*Service, error) {
	if cfg.Store == nil {
		return nil, errors.New("files: Store is missing")
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	if cfg.MaxUploads == 0 {
		cfg.MaxUploads = defaultMaxUploads
	}
	if cfg.MaxBytes < 0 || cfg.MaxUploads < 0 {
		return nil, fmt.Errorf("files: MaxBytes is %d and MaxUploads %d: want at least 1, or 0 for the defaults", cfg.MaxBytes, cfg.MaxUploads)
	}
	if err := cfg.Retention.Validate(); err != nil {
		return nil, fmt.Errorf("files: Retention: %w", err)
	}
	return &Service{cfg: cfg, uploads: uploads{most: cfg.MaxUploads, of: map[string]int{}}}, nil
}

// New is a file to be uploaded.
type New struct {
	Tenant string
	// Name is at most [MaxName] bytes; it need not be one in any file system.
	Name    string
	Purpose Purpose
	// ExpiresAfter is how long the file is kept from now on; zero: as long as jobs are.
	ExpiresAfter time.Duration
}

func (n New) validate() error {
	switch {
	case n.Purpose != PurposeBatch:
		return jobs.Invalid("/purpose", "expected %q", PurposeBatch)
	case n.Name == "" || len(n.Name) > MaxName || !utf8.ValidString(n.Name) || strings.ContainsRune(n.Name, 0):
		return jobs.Invalid("/file", "expected a file name of 1 to %d bytes of UTF-8", MaxName)
	case n.ExpiresAfter < 0:
		return errExpired
	default:
		return nil
	}
}

var errExpired = jobs.Invalid("/expires_after", "expected a time in the future")

// MaxBytes is how many bytes a file may have.
func (s *Service) MaxBytes() int64 { return s.cfg.MaxBytes }

// Create begins an upload. The caller commits or aborts it; ctx is that of all writes. With
// too many uploads under way it is an *[jobs.Error] with code [CodeTooMany].
func (s *Service) Create(ctx context.Context, n New) (*Writer, error) {
	if err := n.validate(); err != nil {
		return nil, err
	}
	if err := s.uploads.begin(n.Tenant); err != nil {
		return nil, err
	}
	f, err := s.create(ctx, n)
	if err != nil {
		s.uploads.end(n.Tenant)
		return nil, err
	}
	return s.newWriter(ctx, f), nil
}

func (s *Service) create(ctx context.Context, n New) (File, error) {
	at := now()
	id, err := NewID(at)
	if err != nil {
		return File{}, err
	}
	f := File{
		ID: id, Tenant: n.Tenant, Purpose: n.Purpose, Name: n.Name, Status: StatusUploading,
		Bucket: s.cfg.Bucket != nil, CreatedAt: at,
	}
	if n.ExpiresAfter > 0 {
		f.ExpiresAt = at.Add(n.ExpiresAfter)
	}
	return f, s.cfg.Store.CreateFile(ctx, f)
}

// File returns a file, or [ErrNotFound].
func (s *Service) File(ctx context.Context, tenant string, id uuid.UUID) (File, error) {
	return s.cfg.Store.File(ctx, tenant, id, now())
}

// List returns a page of files, and whether there are more after it.
func (s *Service) List(ctx context.Context, q Query) (page []File, more bool, err error) {
	limit := max(q.Limit, 1)
	q.Limit = limit + 1
	page, err = s.cfg.Store.Files(ctx, q, now())
	if err != nil || len(page) <= limit {
		return page, false, err
	}
	return page[:limit], true, nil
}

// Delete removes a file: [ErrNotFound], or [ErrInUse] while a batch needs it.
func (s *Service) Delete(ctx context.Context, tenant string, id uuid.UUID) error {
	return s.cfg.Store.DeleteFile(ctx, tenant, id)
}

// Open returns the bytes of a file of the tenant's that has no Batch; ctx is that of all
// reads. There is nothing to close.
func (s *Service) Open(ctx context.Context, tenant string, f File) *Reader {
	r := &Reader{ctx: ctx, tenant: tenant, file: f, cached: -1}
	switch {
	case f.Batch != uuid.Nil:
		r.failed = errors.New("the answers of a batch are not kept as bytes")
	case !f.Bucket:
		r.chunks = s.cfg.Store
	case s.cfg.Bucket != nil:
		r.chunks = s.cfg.Bucket
	default:
		r.failed = errNoBucket
	}
	return r
}

var errNoBucket = &jobs.Error{
	Code: jobs.CodeStoreUnavailable, Message: "the file cannot be read now: it is in a bucket, and none is configured",
}

// Sweep removes files that have expired, that are past their retention, and uploads that
// were abandoned, with their bytes. Where it is repeated it goes on.
func (s *Service) Sweep(ctx context.Context) error {
	for more := true; more; {
		var inBucket []uuid.UUID
		var err error
		at := now()
		inBucket, more, err = s.cfg.Store.SweepFiles(ctx, Sweep{
			Now: at, Retention: s.cfg.Retention, Abandoned: at.Add(-abandonedAfter), Limit: sweepLimit,
		})
		if err != nil {
			return fmt.Errorf("sweep files: %w", err)
		}
		if err := s.empty(ctx, inBucket); err != nil {
			return fmt.Errorf("remove files from the bucket: %w", err)
		}
	}
	return nil
}

// empty removes files from the bucket, and forgets those that are gone from there.
func (s *Service) empty(ctx context.Context, ids []uuid.UUID) error {
	if len(ids) == 0 {
		return nil
	}
	if s.cfg.Bucket == nil {
		return errors.New("none is configured: set files.url to the one that was used before")
	}
	for i, id := range ids {
		if err := s.cfg.Bucket.Remove(ctx, id); err != nil {
			return errors.Join(err, s.cfg.Store.ForgetFiles(ctx, ids[:i]))
		}
	}
	return s.cfg.Store.ForgetFiles(ctx, ids)
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
