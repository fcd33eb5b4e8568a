package openai

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"time"

	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

const (
	// formRoom is how much of a form there may be beside its file.
	formRoom = 64 << 10
	// maxParts is how many parts a form may have, and maxField how long the value of a
	// field may be.
	maxParts = 16
	maxField = 1 << 10
)

// Bounds of expires_after.
const (
	leastExpiry = time.Hour
	mostExpiry  = 30 * 24 * time.Hour
)

// uploadFile is POST /v1/files: a form, of which the file goes where files are kept as
// it arrives. Fields may come before or after it.
func (s *Surface) uploadFile(x *exchange) error {
	kind, params, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return jobs.Invalid("", "the body must be a form; send it with the header Content-Type: multipart/form-data")
	}
	u := &upload{surface: s, x: x, body: room{from: x.caller.Server.Upload(s.cfg.Files.MaxBytes() + formRoom), left: formRoom}}
	u.form = multipart.NewReader(&u.body, params["boundary"])
	defer u.abort()
	if err := u.read(); err != nil {
		return err
	}
	f, err := u.commit()
	if err != nil {
		return err
	}
	x.caller.File = f.ID
	return surface.WriteJSON(x.w, http.StatusOK, encodeFile(f))
}

// upload is a form on its way in.
type upload struct {
	surface *Surface
	x       *exchange
	body    room
	form    *multipart.Reader
	// file is nil before its part has come.
	file            *files.Writer
	purpose, anchor string
	seconds         string
}

func (u *upload) abort() {
	if u.file != nil {
		u.file.Abort() // nothing, once it is committed
	}
}

func (u *upload) read() error {
	for range maxParts {
		part, err := u.form.NextPart()
		if err == io.EOF { // behind the last part; wrapped, it is that the form was cut
			return nil
		}
		if err != nil {
			return formError(err)
		}
		if err := u.part(part); err != nil {
			return err
		}
	}
	return jobs.Invalid("", "the form must have at most %d parts", maxParts)
}

func (u *upload) part(part *multipart.Part) error {
	switch part.FormName() {
	case "file":
		return u.keep(part)
	case "purpose":
		return readField(part, &u.purpose)
	case "expires_after[anchor]":
		return readField(part, &u.anchor)
	case "expires_after[seconds]":
		return readField(part, &u.seconds)
	default:
		return jobs.Invalid("", "the form has a field that is not known here; there are file, purpose and expires_after")
	}
}

// keep passes the file on.
func (u *upload) keep(part *multipart.Part) (err error) {
	if u.file != nil {
		return jobs.Invalid("/file", "is there twice")
	}
	u.file, err = u.surface.cfg.Files.Create(u.x.r.Context(), files.New{
		Tenant: u.x.caller.Tenant, Name: part.FileName(), Purpose: files.PurposeBatch,
	})
	if err != nil {
		return err
	}
	u.body.unbounded = true
	_, err = io.CopyBuffer(u.file, part, make([]byte, copyBuffer))
	u.body.unbounded = false
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return formError(err)
	}
	return err
}

func (u *upload) commit() (files.File, error) {
	switch {
	case u.file == nil:
		return files.File{}, jobs.Invalid("/file", "is required")
	case u.purpose != string(files.PurposeBatch):
		return files.File{}, jobs.Invalid("/purpose", "must be batch: files are for batches here")
	}
	if u.anchor != "" || u.seconds != "" {
		if err := u.expires(); err != nil {
			return files.File{}, err
		}
	}
	ctx, cancel := u.surface.storeContext(u.x.r.Context())
	defer cancel()
	return u.file.Commit(ctx)
}

func (u *upload) expires() error {
	seconds, err := strconv.ParseInt(u.seconds, 10, 32)
	after := time.Duration(seconds) * time.Second
	switch {
	case u.anchor != "created_at":
		return jobs.Invalid("/expires_after/anchor", "must be created_at")
	case err != nil || after < leastExpiry || after > mostExpiry:
		return jobs.Invalid("/expires_after/seconds", "must be %d to %d", int(leastExpiry.Seconds()), int(mostExpiry.Seconds()))
	}
	return u.file.ExpireAfter(after)
}

// readField reads a field that is not the file.
func readField(part *multipart.Part, to *string) error {
	value, err := io.ReadAll(io.LimitReader(part, maxField+1))
	switch {
	case err != nil:
		return formError(err)
	case len(value) > maxField:
		return jobs.Invalid("/"+part.FormName(), "must be at most %d bytes", maxField)
	}
	*to = string(value)
	return nil
}

// formError says that a form is not as it should be, unless reading it has failed, which
// has a code. What err says is told to nobody: it quotes the form.
func formError(err error) error {
	if e, ok := errors.AsType[*jobs.Error](err); ok {
		return e
	}
	return jobs.Invalid("", "the form is not well formed")
}

// room bounds what is read of a form beside its file: headers of parts are held as a whole.
type room struct {
	from io.Reader
	left int64
	// unbounded says that what is read is the file.
	unbounded bool
}

// Read implements [io.Reader].
func (r *room) Read(p []byte) (int, error) {
	if r.unbounded {
		return r.from.Read(p)
	}
	if r.left <= 0 {
		return 0, jobs.Invalid("", "the form may have at most %d bytes beside its file", formRoom)
	}
	n, err := r.from.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	return n, err
}
