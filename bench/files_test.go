package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/files/bucket"
	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/storage"
	"github.com/penstock-dev/penstock/storage/sealed"
	"github.com/penstock-dev/penstock/storage/sealed/sealedtest"
)

// fileSize is that of the largest file that OpenAI's API takes for a batch.
const fileSize = 200 << 20

// home is where chunks are kept.
type home struct {
	store  storage.Store
	chunks files.Chunks
	// size returns how many bytes are taken on the disk; nil: nobody knows.
	size func() int64
}

func inPostgres(b *testing.B) home {
	b.Helper()
	return inPostgresWith(b, `SELECT 1`)
}

// inPostgresThatCompresses lets Postgres try to compress chunks, as it does by default.
func inPostgresThatCompresses(b *testing.B) home {
	b.Helper()
	return inPostgresWith(b, `ALTER TABLE file_chunks ALTER COLUMN data SET STORAGE EXTENDED`)
}

func inPostgresWith(b *testing.B, change string) home {
	b.Helper()
	url := testenv.Postgres(b)
	s := openFiles(b, url)
	conn, err := pgx.Connect(b.Context(), url)
	if err == nil {
		b.Cleanup(func() { _ = conn.Close(context.Background()) })
		_, err = conn.Exec(b.Context(), change)
	}
	if err != nil {
		b.Fatal(err)
	}
	return home{s, s, func() (n int64) {
		if err := conn.QueryRow(b.Context(), `SELECT pg_total_relation_size('file_chunks')`).Scan(&n); err != nil {
			b.Fatal(err)
		}
		return n
	}}
}

func inSQLite(b *testing.B) home {
	b.Helper()
	path := filepath.Join(b.TempDir(), "p.db")
	s := openFiles(b, "sqlite://"+path)
	return home{s, s, func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		return info.Size()
	}}
}

// inBucket is S3 in memory, in this process: real ones are slower.
func inBucket(b *testing.B) home {
	b.Helper()
	b.Setenv("AWS_ACCESS_KEY_ID", "penstock")
	b.Setenv("AWS_SECRET_ACCESS_KEY", "penstock")
	objects := s3mem.New()
	server := httptest.NewServer(gofakes3.New(objects).Server())
	b.Cleanup(server.Close)
	at, err := bucket.Parse("s3://penstock?endpoint=" + server.URL)
	if err != nil {
		b.Fatal(err)
	}
	there, err := bucket.Open(at)
	if err == nil {
		err = objects.CreateBucket("penstock")
	}
	if err != nil {
		b.Fatal(err)
	}
	return home{openFiles(b, "sqlite://"+filepath.Join(b.TempDir(), "p.db")), there, nil}
}

func openFiles(b *testing.B, url string) storage.Store {
	b.Helper()
	s, err := storage.Open(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// BenchmarkChunks keeps and reads files of 200 MiB that do not compress, in chunks of
// several sizes. The one of 200 MiB is the file as one large object.
func BenchmarkChunks(b *testing.B) {
	const small, chunk, large = 256 << 10, 1 << 20, 4 << 20
	for _, c := range []struct {
		name  string
		open  func(b *testing.B) home
		sizes []int
	}{
		{"postgres", inPostgres, []int{small, chunk, large, fileSize}},
		{"postgres-compressing", inPostgresThatCompresses, []int{chunk}},
		{"sqlite", inSQLite, []int{small, chunk, large, fileSize}},
		{"bucket", inBucket, []int{small, chunk}}, // larger objects are none of ours
	} {
		for _, size := range c.sizes {
			b.Run(fmt.Sprintf("%s/%dKiB", c.name, size>>10), func(b *testing.B) {
				h, content := c.open(b), make([]byte, size)
				_, _ = rand.Read(content)
				var m meter
				for b.Loop() {
					f := beginFile(b, h.store)
					m.file(func() { putAll(b, h.chunks, f, content) }, func() { getAll(b, h.chunks, f, size) })
				}
				m.report(b)
				if h.size != nil {
					b.ReportMetric(float64(h.size())/fileSize/float64(m.files), "disk/file")
				}
			})
		}
	}
}

// BenchmarkUpload sends files of 200 MiB through the service, sealed, and reads them back.
func BenchmarkUpload(b *testing.B) {
	for name, open := range map[string]func(b *testing.B) home{"postgres": inPostgres, "sqlite": inSQLite} {
		b.Run(name, func(b *testing.B) {
			store := open(b).store
			keys, err := sealed.New(b.Context(), store, sealedtest.Config(b, 1))
			if err != nil {
				b.Fatal(err)
			}
			service, err := files.NewService(files.Config{Store: keys.Files(store)})
			if err != nil {
				b.Fatal(err)
			}
			piece := make([]byte, 32<<10) // as a request's body comes in
			_, _ = rand.Read(piece)
			var m meter
			for b.Loop() {
				var f files.File
				m.file(func() { f = upload(b, service, piece) }, func() { download(b, service, f) })
			}
			m.report(b)
		})
	}
}

func upload(b *testing.B, service *files.Service, piece []byte) files.File {
	b.Helper()
	w, err := service.Create(b.Context(), files.New{Tenant: "acme", Name: "a", Purpose: files.PurposeBatch})
	if err != nil {
		b.Fatal(err)
	}
	for range fileSize / len(piece) {
		if _, err := w.Write(piece); err != nil {
			b.Fatal(err)
		}
	}
	f, err := w.Commit(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return f
}

func download(b *testing.B, service *files.Service, f files.File) {
	b.Helper()
	if n, err := io.Copy(io.Discard, service.Open(b.Context(), f.Tenant, f)); err != nil || n != fileSize {
		b.Fatal(n, err)
	}
}

func beginFile(b *testing.B, store files.Store) files.File {
	b.Helper()
	at := time.Now().UTC()
	id, err := files.NewID(at)
	if err != nil {
		b.Fatal(err)
	}
	f := files.File{ID: id, Tenant: "acme", Purpose: files.PurposeBatch, Status: files.StatusUploading, CreatedAt: at}
	if err := store.CreateFile(b.Context(), f); err != nil {
		b.Fatal(err)
	}
	return f
}

func putAll(b *testing.B, to files.Chunks, f files.File, content []byte) {
	b.Helper()
	for n := range fileSize / len(content) {
		c := files.Chunk{Tenant: f.Tenant, File: f.ID, N: n, Data: content}
		if err := to.PutChunk(context.Background(), c); err != nil {
			b.Fatal(err)
		}
	}
}

func getAll(b *testing.B, from files.Chunks, f files.File, size int) {
	b.Helper()
	for n := range fileSize / size {
		if data, err := from.Chunk(context.Background(), f.Tenant, f.ID, n); err != nil || len(data) != size {
			b.Fatal(len(data), err)
		}
	}
}

// meter measures how files are kept and read.
type meter struct {
	files   int
	in, out time.Duration
	// most is how far the heap grew.
	most uint64
}

// file measures one file.
func (m *meter) file(in, out func()) {
	m.files++
	m.heap(func() {
		begun := time.Now()
		in()
		kept := time.Now()
		out()
		m.in, m.out = m.in+kept.Sub(begun), m.out+time.Since(kept)
	})
}

// report tells MB (not MiB) a second.
func (m *meter) report(b *testing.B) {
	b.Helper()
	megabytes := float64(m.files) * fileSize / 1e6
	b.ReportMetric(megabytes/m.in.Seconds(), "in-MB/s")
	b.ReportMetric(megabytes/m.out.Seconds(), "out-MB/s")
	b.ReportMetric(float64(m.most)/(1<<20), "heap-MiB")
	b.ReportMetric(0, "ns/op")
}

// heap notes how far the heap grows while something is done, every few milliseconds.
func (m *meter) heap(do func()) {
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for tick := time.Tick(5 * time.Millisecond); ; {
			select {
			case <-done:
				return
			case <-tick:
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				m.most = max(m.most, now.HeapAlloc-min(now.HeapAlloc, before.HeapAlloc))
			}
		}
	}()
	do()
	close(done)
	<-watched
}
