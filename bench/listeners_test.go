package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/internal/testenv"
)

// talker is a provider that streams words, and remembers when it said the first
// one of each answer.
type talker struct {
	mu    sync.Mutex
	first map[string]time.Time
}

const (
	words   = 10
	thinks  = 200 * time.Millisecond
	perWord = 20 * time.Millisecond
)

func (p *talker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Messages []struct {
			Content string `json:"content"`
		} `json:"messages"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w).Flush
	<-time.After(thinks)
	p.mu.Lock()
	p.first[body.Messages[0].Content] = time.Now()
	p.mu.Unlock()
	for i := range words {
		fmt.Fprintf(w, `data: {"choices":[{"index":0,"delta":{"content":"word%d "}}]}`+"\n\n", i)
		_ = flush()
		<-time.After(perWord)
	}
	fmt.Fprint(w, `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
}

// BenchmarkListeners: as many callers as are asked for follow a job each, on
// one api process, where they arrive 64 at a time; the jobs run a hundred at a time. Reported is how much the
// api process has grown, and how long after the provider said it the first
// word was heard. LISTENERS sets how many, 10,000 by default.
func BenchmarkListeners(b *testing.B) {
	many := 10_000
	if n, err := strconv.Atoi(os.Getenv("LISTENERS")); err == nil {
		many = n
	}
	for b.Loop() {
		listen(b, many)
	}
}

func listen(b *testing.B, many int) {
	b.Helper()
	provider := &talker{first: map[string]time.Time{}}
	server := httptest.NewServer(provider)
	defer server.Close()
	env := fleetEnv(b, fmt.Sprintf(`
providers: {talker: {type: openai, base_url: %q, api_key: none, models: [m], concurrency: 100}}
routes: {default: {targets: [talker/m]}}
`, server.URL+"/v1"))
	base, api := startProcess(b, "api", env)
	ids := make([]string, many)
	each(many, 32, func(i int) { ids[i] = post(b, base, fmt.Sprintf("question %d", i)) })
	before := residentMiB(b, api)

	heard := make([]time.Time, many)
	var listening, over sync.WaitGroup
	listening.Add(many)
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: many}}
	arriving := make(chan struct{}, 64)
	for i := range many {
		arriving <- struct{}{}
		over.Go(func() {
			heard[i] = follow(b, client, base, ids[i], func() {
				listening.Done()
				<-arriving
			})
		})
	}
	listening.Wait()
	runtime.GC()
	waiting := residentMiB(b, api)
	startProcess(b, "worker", env)
	done := make(chan struct{})
	go func() { over.Wait(); close(done) }()
	most := waiting
	for waitingFor := true; waitingFor; {
		select {
		case <-done:
			waitingFor = false
		case <-time.After(time.Second):
			most = max(most, residentMiB(b, api))
		}
	}
	var took latencies
	for i, at := range heard {
		took = append(took, at.Sub(provider.first[fmt.Sprintf("question %d", i)]))
	}
	took.report(b, 50, 95, 99)
	b.ReportMetric(before, "idle-MiB")
	b.ReportMetric(waiting, "waiting-MiB")
	b.ReportMetric(most, "most-MiB")
}

// follow returns when the first piece of the answer was there; it stays until
// the end.
func follow(b *testing.B, client *http.Client, base, id string, connected func()) (first time.Time) {
	b.Helper()
	connected = sync.OnceFunc(connected)
	defer connected()
	resp, err := client.Get(base + "/v1/jobs/" + id + "/events") //nolint:noctx // the benchmark ends with it
	if err != nil {
		b.Error(err)
		return first
	}
	defer resp.Body.Close()
	lines := bufio.NewReaderSize(resp.Body, 512)
	for {
		line, err := lines.ReadString('\n')
		switch {
		case err != nil:
			b.Errorf("job %s: the stream ended without done: %v", id, err)
			return first
		case strings.HasPrefix(line, "event: status"):
			connected()
		case strings.HasPrefix(line, "event: delta") && first.IsZero():
			first = time.Now()
		case strings.HasPrefix(line, "event: done"):
			if first.IsZero() {
				b.Errorf("job %s was done before a word of it was heard", id)
			}
			return first
		}
	}
}

// each calls do for 0 to n-1, so many at once.
func each(n, atOnce int, do func(i int)) {
	next := make(chan int)
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
}

func fleetEnv(b *testing.B, config string) []string {
	b.Helper()
	file := filepath.Join(b.TempDir(), "penstock.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	return append(os.Environ(), "PENSTOCK_DATABASE_URL="+testenv.Postgres(b), "PENSTOCK_REDIS_URL="+testenv.Redis(b),
		"PENSTOCK_CONFIG="+file, "PENSTOCK_LOG=warn")
}

// startProcess builds and starts a command and returns its base URL and process
// id once it is ready.
func startProcess(b *testing.B, name string, env []string) (base string, pid int) {
	b.Helper()
	bin := filepath.Join(b.TempDir(), name)
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", bin, "../cmd/"+name).CombinedOutput(); err != nil {
		b.Fatalf("build %s: %v\n%s", name, err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	cmd := exec.Command(bin) //nolint:noctx // it outlives b's context
	cmd.Env = append(env, "PENSTOCK_ADDR="+addr, "PENSTOCK_WORKER_ADDR="+addr)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			b.Errorf("%s: %v", name, err)
		}
	})
	for range 200 {
		resp, err := http.Get("http://" + addr + "/readyz") //nolint:noctx // ours, at once
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return "http://" + addr, cmd.Process.Pid
			}
		}
		<-time.After(50 * time.Millisecond)
	}
	b.Fatalf("%s is not ready after 10 s", name)
	return "", 0
}

// residentMiB is how much memory a process holds, on Linux.
func residentMiB(b *testing.B, pid int) float64 {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		b.Fatal(err)
	}
	var size, resident float64
	if _, err := fmt.Sscan(string(raw), &size, &resident); err != nil {
		b.Fatal(err)
	}
	return resident * float64(os.Getpagesize()) / (1 << 20)
}
