package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/providers"
)

// BenchmarkHandOver: 50,000 requests of 4 KB, about 200 MB, are handed to an api process over
// HTTP, as a file and inline, and by how much it grows at most.
func BenchmarkHandOver(b *testing.B) {
	b.Run("file", func(b *testing.B) { handOver(b, asFile) })
	b.Run("inline", func(b *testing.B) { handOver(b, asInline) })
}

func handOver(b *testing.B, send func(b *testing.B, body io.Writer) (path, contentType string, write func() error)) {
	b.Helper()
	env := fleetEnv(b, "providers: {sim: {type: simulated}}\nroutes: {default: {targets: [sim/sim-1]}}\n")
	base, api := startProcess(b, "api", env)
	idleMiB := residentMiB(b, api)
	var sent int64
	for b.Loop() {
		from, to := io.Pipe()
		path, contentType, write := send(b, &counted{to, &sent})
		go func() { _ = to.CloseWithError(write()) }()
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, base+path, from)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Content-Type", contentType)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		said, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode >= http.StatusMultipleChoices {
			b.Fatalf("%s: %d %s %v", path, resp.StatusCode, said, err)
		}
	}
	b.ReportMetric(float64(sent)/(1<<20)/float64(b.N), "MiB")
	b.ReportMetric(float64(sent)/(1<<20)/b.Elapsed().Seconds(), "MiB/s")
	b.ReportMetric(idleMiB, "idle-MiB")
	b.ReportMetric(mostMiB(b, api)-idleMiB, "grown-MiB")
}

// counted adds up what is written.
type counted struct {
	io.Writer

	n *int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	*c.n += int64(n)
	return n, err
}

func asFile(b *testing.B, body io.Writer) (path, contentType string, write func() error) {
	b.Helper()
	form := multipart.NewWriter(body)
	return "/v1/files", form.FormDataContentType(), func() error {
		if err := form.WriteField("purpose", "batch"); err != nil {
			return err
		}
		part, err := form.CreateFormFile("file", "in.jsonl")
		if err != nil {
			return err
		}
		lines := batches.NewLineWriter(part, providers.ChatCompletions)
		for id, body := range requests(b, ingested, 4000) {
			if err := lines.Write(id, body); err != nil {
				return err
			}
		}
		return form.Close()
	}
}

func asInline(b *testing.B, body io.Writer) (path, contentType string, write func() error) {
	b.Helper()
	return "/v1/job-batches", "application/json", func() error {
		if _, err := io.WriteString(body, `{"requests":[`); err != nil {
			return err
		}
		between := ""
		for id, request := range requests(b, ingested, 4000) {
			line, err := json.Marshal(map[string]any{"custom_id": id, "request": json.RawMessage(request)})
			if err != nil {
				return err
			}
			if _, err := fmt.Fprint(body, between, string(line)); err != nil {
				return err
			}
			between = ","
		}
		_, err := io.WriteString(body, `]}`)
		return err
	}
}

// mostMiB is how much memory a process has held at most, on Linux.
func mostMiB(b *testing.B, pid int) float64 {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(raw), "VmHWM:")
	var kB float64
	if _, err := fmt.Sscan(after, &kB); err != nil {
		b.Fatal(err)
	}
	return kB / (1 << 10)
}
