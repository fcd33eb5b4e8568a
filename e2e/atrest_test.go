package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/internal/testenv"
)

// marker begins every word that must not be kept in plain, and each ends with
// where it was said.
const marker = "zq7marker"

// oracle is a provider that does what it is asked to do.
type oracle struct {
	*httptest.Server

	mu    sync.Mutex
	asked []string
	// held ends calls that were asked to wait; cut counts those that were cut off.
	held chan struct{}
	cut  int
}

func newOracle(t *testing.T) *oracle {
	t.Helper()
	o := &oracle{held: make(chan struct{})}
	o.Server = httptest.NewServer(http.HandlerFunc(o.answer))
	t.Cleanup(o.Close)
	return o
}

func (o *oracle) answer(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	o.mu.Lock()
	o.asked = append(o.asked, string(body))
	o.mu.Unlock()
	piece := func(text string) {
		fmt.Fprintf(w, "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":%q}}]}\n\n", text)
		_ = http.NewResponseController(w).Flush()
	}
	switch {
	case bytes.Contains(body, []byte("please refuse")):
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":{"message":"refused: `+marker+`detail","type":"invalid_request_error"}}`)
		return
	case bytes.Contains(body, []byte("please break")):
		w.Header().Set("Content-Type", "text/event-stream")
		piece(marker + "partial")
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	piece(marker + "answer")
	if bytes.Contains(body, []byte("please wait")) {
		select {
		case <-o.held:
		case <-r.Context().Done():
			o.mu.Lock()
			o.cut++
			o.mu.Unlock()
			return
		}
	}
	fmt.Fprint(w, `data: {"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
}

func (o *oracle) calls() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.asked)
}

func (o *oracle) cutOff() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cut
}

// config writes a file whose only provider is the oracle and returns its path.
func (o *oracle) config(t *testing.T, more string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "penstock.yaml")
	write(t, path, `
providers: {sim: {type: openai, base_url: "`+o.URL+`/v1"}}
routes: {default: {targets: [sim/sim-1], max_attempts: 1}}
`+more)
	return path
}

// written is where a Penstock keeps something.
type written struct {
	*fleet

	oracle    *oracle
	processes []*process
	// store returns all that the store holds, redis all that Redis does.
	store, redis func() string
}

// startEmbedded runs one process that keeps all in a directory.
func startEmbedded(t *testing.T, config string, env ...string) *written {
	t.Helper()
	o := newOracle(t)
	dir := t.TempDir()
	addr := freeAddr(t)
	p := start(t, append(env, "PENSTOCK_CONFIG="+o.config(t, config), "PENSTOCK_DATA_DIR="+dir, "PENSTOCK_ADDR="+addr,
		"PENSTOCK_LOG=json,debug"), "api", "-embedded")
	ready(t, addr)
	return &written{
		fleet: clientOf(t, addr), oracle: o, processes: []*process{p},
		store: func() string { return filesIn(t, dir) }, redis: func() string { return "" },
	}
}

// startServers runs an API and a worker on Postgres and Redis.
func startServers(t *testing.T, config string, env ...string) *written {
	t.Helper()
	o := newOracle(t)
	database, queue, addr, workerAddr := testenv.Postgres(t), testenv.Redis(t), freeAddr(t), freeAddr(t)
	env = append(env, "PENSTOCK_CONFIG="+o.config(t, config), "PENSTOCK_LOG=json,debug",
		"PENSTOCK_DATABASE_URL="+database, "PENSTOCK_REDIS_URL="+queue,
		"PENSTOCK_ADDR="+addr, "PENSTOCK_WORKER_ADDR="+workerAddr)
	processes := []*process{start(t, env, "api"), start(t, env, "worker")}
	ready(t, addr)
	ready(t, workerAddr)
	return &written{
		fleet: clientOf(t, addr), oracle: o, processes: processes,
		store: func() string { return tablesOf(t, database) }, redis: func() string { return keysOf(t, queue) },
	}
}

// clientOf returns a fleet to ask with, of one API.
func clientOf(t *testing.T, addr string) *fleet {
	t.Helper()
	f := &fleet{t: t, apis: []*node{{addr: addr}}, client: &http.Client{Timeout: time.Minute}}
	t.Cleanup(f.client.CloseIdleConnections)
	return f
}

// filesIn returns the bytes of all files below dir.
func filesIn(t *testing.T, dir string) string {
	t.Helper()
	var all bytes.Buffer
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all.Write(content)
		return err
	})
	if err != nil || all.Len() == 0 {
		t.Fatalf("read %d bytes of %s: %v", all.Len(), dir, err)
	}
	return all.String()
}

// tablesOf returns all rows of all tables as text, bytes in both ways that
// Postgres writes them.
func tablesOf(t *testing.T, database string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	query := func(sql string, args ...any) []string {
		rows, err := conn.Query(t.Context(), sql, args...)
		if err != nil {
			t.Fatal(err)
		}
		list, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	tables := query(`SELECT table_schema || '.' || table_name FROM information_schema.tables
		WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'`)
	if len(tables) < 10 {
		t.Fatalf("found tables %v, want all of them", tables)
	}
	var all strings.Builder
	for _, format := range []string{"hex", "escape"} {
		query(`SELECT set_config('bytea_output', $1, false)`, format)
		for _, table := range tables {
			all.WriteString(strings.Join(query(`SELECT t::text FROM `+table+` t`), "\n"))
		}
	}
	return all.String()
}

// keysOf returns all keys of a Redis with what they hold.
func keysOf(t *testing.T, url string) string {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("Redis has %d keys (%v)", len(keys), err)
	}
	var all strings.Builder
	for _, key := range keys {
		dump, err := client.Dump(t.Context(), key).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
		all.WriteString(key + "\n" + dump + "\n")
	}
	return all.String()
}

func (w *written) logs() string {
	var all strings.Builder
	for _, p := range w.processes {
		all.WriteString(p.log.String())
	}
	return all.String()
}

// told is a job with all that was said in it.
type told struct {
	job

	text string
}

// tell submits a job that says the words and waits for its end.
func (w *written) tell(words string, header ...string) told {
	w.t.Helper()
	return w.submit(words, "", append(header, "Prefer", "wait=30")...)
}

// submit submits a job that says the words in its message, with more fields.
func (w *written) submit(words, more string, header ...string) told {
	w.t.Helper()
	body := fmt.Sprintf(`{"request":{"model":"default","messages":[{"role":"user","content":%q}],
		"tools":[{"type":"function","function":{"name":"f","description":%q}}]}%s}`, words, marker+"tool", more)
	return w.get(http.MethodPost, "/v1/jobs", body, append(header, "Content-Type", "application/json")...)
}

func (w *written) get(method, path, body string, header ...string) told {
	w.t.Helper()
	a := told{text: w.fetch(method, path, body, header...)}
	if err := json.Unmarshal([]byte(a.text), &a.job); err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// fetch returns the text of an answer, which must be no refusal.
func (w *written) fetch(method, path, body string, header ...string) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+w.apis[0].addr+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		w.t.Fatalf("%s %s: %s %s (%v)", method, path, resp.Status, raw, err)
	}
	return string(raw)
}

// sayAll makes Penstock see a marker everywhere a payload can be: the request,
// the answer, the message of a failure, what arrived of an answer; done and under
// way.
func (w *written) sayAll() {
	w.t.Helper()
	if a := w.tell("please answer " + marker + "question"); !strings.Contains(a.text, marker+"answer") {
		w.t.Fatalf("the answer: got %s", a.text)
	}
	if a := w.tell("please refuse " + marker + "question"); !strings.Contains(a.text, marker+"detail") {
		w.t.Fatalf("the refused job: got %s", a.text)
	}
	if a := w.tell("please break " + marker + "question"); a.Status != "failed" {
		w.t.Fatalf("the broken job: got %s", a.text)
	}
	w.sayInBatch()
	before := len(w.oracle.calls())
	w.submit("please wait "+marker+"question", "")
	eventually(w.t, 20*time.Second, "a call under way", func() bool { return len(w.oracle.calls()) > before })
}

// sayInBatch has it see a marker in a file of lines, in the batch that is made of it, and in
// what came of that. The file has more than one chunk, and a name.
func (w *written) sayInBatch() {
	w.t.Helper()
	line := func(id, words string) string {
		return fmt.Sprintf(`{"custom_id":%q,"method":"POST","url":"/v1/chat/completions","body":{"model":"default","messages":[{"role":"user","content":%q}]}}`+"\n",
			id, words)
	}
	text := line("a", "please answer "+marker+"line "+strings.Repeat("and so on ", 120<<10)) +
		line("b", "please refuse "+marker+"line") + line("c", "please answer "+marker+"lastline")
	body, contentType := form(w.t, "lines.jsonl", text)
	file := w.get(http.MethodPost, "/v1/files", body, "Content-Type", contentType)
	made := w.get(http.MethodPost, "/v1/job-batches", `{"input_file_id":"`+file.ID+`"}`, "Content-Type", "application/json")
	var b struct {
		Status string `json:"status"`
		Output string `json:"output_file_id"`
		Errors string `json:"error_file_id"`
	}
	ended := w.get(http.MethodGet, "/v1/job-batches/"+made.ID+"?wait=30s", "")
	if err := json.Unmarshal([]byte(ended.text), &b); err != nil || b.Status != "completed" {
		w.t.Fatalf("the batch: got %s (%v)", ended.text, err)
	}
	for path, words := range map[string]string{
		"/v1/job-batches/" + made.ID + "/results": marker + "answer", "/v1/files/" + file.ID + "/content": marker + "lastline",
		"/v1/files/" + b.Output + "/content": marker + "answer", "/v1/files/" + b.Errors + "/content": marker + "detail",
	} {
		if got := w.fetch(http.MethodGet, path, ""); !strings.Contains(got, words) {
			w.t.Errorf("GET %s: got %d bytes, want %s in them", path, len(got), words)
		}
	}
}

// forms is how a word looks in a file or a table: as it is, in hex, and in base64
// from each of the three places where it can begin.
func forms(word string) []string {
	all := []string{word, hex.EncodeToString([]byte(word)), strings.ToUpper(hex.EncodeToString([]byte(word)))}
	for shift := range 3 {
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + word))
		all = append(all, encoded[4:len(encoded)-2])
	}
	return all
}

// found lists the words that are in what was kept, in some form.
func found(kept string, words ...string) []string {
	var in []string
	for _, word := range words {
		if slices.ContainsFunc(forms(word), func(form string) bool { return strings.Contains(kept, form) }) {
			in = append(in, word)
		}
	}
	return in
}

// places is where sayAll says a marker.
var places = []string{
	marker + "question", marker + "tool", marker + "answer", marker + "detail", marker + "partial", marker + "line", marker + "lastline",
}

const (
	secretA = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
	secretB = "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="
)

// With a secret no payload is kept in plain: not in files or tables, not in
// Redis, not in the logs. Without one the store has them all, which shows that
// the test would find them.
func TestPayloadsAreSealedAtRest(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(*testing.T, string, ...string) *written{
		"embedded": startEmbedded, "servers": startServers,
	} {
		t.Run(name+" sealed", func(t *testing.T) {
			t.Parallel()
			w := begin(t, "", "PENSTOCK_SECRET_KEY="+secretA)
			w.sayAll()
			for where, kept := range map[string]string{"store": w.store(), "Redis": w.redis(), "logs": w.logs()} {
				if in := found(kept, marker, secretA, strings.Repeat("a", 32)); len(in) > 0 {
					t.Errorf("the %s holds %v", where, in)
				}
			}
		})
		t.Run(name+" plain", func(t *testing.T) {
			t.Parallel()
			w := begin(t, "")
			w.sayAll()
			if in := found(w.store(), places...); !slices.Equal(in, places) {
				t.Errorf("the store holds %v, want %v: the test cannot fail", in, places)
			}
			for where, kept := range map[string]string{"Redis": w.redis(), "logs": w.logs()} {
				if in := found(kept, marker); len(in) > 0 {
					t.Errorf("the %s holds %v", where, in)
				}
			}
		})
	}
}
