package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/internal/testenv"
)

// setup says what a fleet is made of.
type setup struct {
	apis, workers int
	// concurrency is how many calls the whole fleet makes at once.
	concurrency int
	// faults is how the provider behaves, as cmd/simulator takes it.
	faults string
	// programs is the folder of other programs than those that were built.
	programs string
	// ownPostgres asks for a server that can be stopped.
	ownPostgres bool
	// webhooks lets the fleet send to this machine; payloads are sealed then.
	webhooks bool
}

// hooks is what the configuration says of webhooks; older programs know nothing of them.
func (s setup) hooks() string {
	if !s.webhooks {
		return ""
	}
	return "webhooks: {allow_networks: [127.0.0.0/8], allow_http: true}\n"
}

// usual is one API and two workers on a provider whose calls take about 300 ms.
var usual = setup{apis: 1, workers: 2, concurrency: 40, faults: slow}

// slow is a provider whose calls take about 300 ms.
const slow = `{"latency": "250ms", "sigma": 0.3, "per_token": "5ms"}`

// fleet is the processes of one Penstock, its servers and a simulated provider.
type fleet struct {
	t         *testing.T
	env       []string
	apis      []*node
	workers   []*node
	programs  string
	simulator string
	database  string          // empty: its processes alone can read it
	postgres  *testenv.Server // nil unless it is the fleet's own
	redis     *testenv.Server
	client    *http.Client
}

// node is a process of the fleet. It reaches everything through proxies of its
// own, which stay when it is started again.
type node struct {
	*process

	t        *testing.T
	name     string
	addr     string
	program  string
	args     []string
	env      []string
	redis    *testenv.Proxy
	postgres *testenv.Proxy
	provider *testenv.Proxy
}

// startFleet starts a provider and the processes, on stores of their own.
func startFleet(t *testing.T, s setup) *fleet {
	t.Helper()
	f := &fleet{
		t: t, programs: s.programs, simulator: freeAddr(t), redis: testenv.RedisServer(t),
		client: &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	t.Cleanup(f.client.CloseIdleConnections)
	if s.ownPostgres {
		f.postgres = testenv.PostgresServer(t)
		f.database = f.postgres.URL()
	} else {
		f.database = testenv.Postgres(t)
	}
	f.configure(s)
	f.startNodes(s)
	return f
}

// startOne starts a provider and an embedded Penstock, which is the fleet's only API.
func startOne(t *testing.T, s setup) *fleet {
	t.Helper()
	f := &fleet{t: t, simulator: freeAddr(t), client: &http.Client{Timeout: 15 * time.Second}}
	t.Cleanup(f.client.CloseIdleConnections)
	f.configure(s)
	addr := freeAddr(t)
	n := &node{t: t, name: "embedded", addr: addr, program: "api", args: []string{"-embedded"}}
	n.env = append(f.env, "PENSTOCK_ADDR="+addr, "PENSTOCK_DATA_DIR="+t.TempDir(), "SIM_URL=http://"+f.simulator+"/v1")
	n.again()
	ready(t, addr)
	f.apis = []*node{n}
	return f
}

// configure writes what the processes are told, and starts the provider.
func (f *fleet) configure(s setup) {
	f.t.Helper()
	dir := f.t.TempDir()
	config := filepath.Join(dir, "penstock.yaml")
	write(f.t, config, fmt.Sprintf(`
providers: {sim: {type: openai, base_url: "${SIM_URL}", api_key: "${SIM_KEY}", concurrency: %d}}
routes: {default: {targets: [sim/sim-1]}}
%s`, s.concurrency, s.hooks()))
	write(f.t, filepath.Join(dir, "faults.json"), s.faults)
	f.env = []string{"PENSTOCK_CONFIG=" + config, "SIM_KEY=" + secret, "PENSTOCK_LOG=json,debug"}
	if s.webhooks {
		f.env = append(f.env, "PENSTOCK_SECRET_KEY="+secretA)
	}
	start(f.t, nil, "simulator", "-addr", f.simulator, "-config", filepath.Join(dir, "faults.json"))
}

// secret is the API key of the simulated provider, which must show nowhere.
const secret = "sk-very-secret-indeed"

func (f *fleet) startNodes(s setup) {
	f.t.Helper()
	for range s.apis {
		f.startAPI()
	}
	for range s.workers {
		f.startWorker()
	}
}

func (f *fleet) startAPI() *node {
	f.t.Helper()
	n := f.node("api", len(f.apis), "PENSTOCK_ADDR")
	f.apis = append(f.apis, n)
	return n
}

func (f *fleet) startWorker() *node {
	f.t.Helper()
	n := f.node("worker", len(f.workers), "PENSTOCK_WORKER_ADDR")
	f.workers = append(f.workers, n)
	return n
}

// node starts a process and waits until it is ready.
func (f *fleet) node(program string, number int, addrVariable string) *node {
	f.t.Helper()
	n := &node{
		t: f.t, name: program + "-" + strconv.Itoa(number), addr: freeAddr(f.t),
		program: filepath.Join(f.programs, program),
	}
	var redisURL, databaseURL, simulatorURL string
	n.redis, redisURL = through(f.t, f.redis.URL())
	n.postgres, databaseURL = through(f.t, f.database)
	n.provider, simulatorURL = through(f.t, "http://"+f.simulator+"/v1")
	n.env = append(slices.Clone(f.env), addrVariable+"="+n.addr,
		"PENSTOCK_REDIS_URL="+redisURL, "PENSTOCK_DATABASE_URL="+databaseURL, "SIM_URL="+simulatorURL)
	n.again()
	ready(f.t, n.addr)
	return n
}

// through returns a proxy to a server, and the server's URL by way of it.
func through(t *testing.T, server string) (*testenv.Proxy, string) {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	p := testenv.NewProxy(t, u.Host)
	return p, p.URL(u)
}

// again starts the node's process, at first or after it was killed.
func (n *node) again() {
	n.t.Helper()
	n.process = start(n.t, n.env, n.program, n.args...)
}

// stop is SIGSTOP: the process is there and does nothing. resume is SIGCONT.
func (n *node) stop()   { n.signal(syscall.SIGSTOP) }
func (n *node) resume() { n.signal(syscall.SIGCONT) }

func (n *node) signal(s syscall.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Errorf("%s to %s: %v", s, n.name, err)
	}
}

// alive reports whether the node's process runs.
func (n *node) alive() bool {
	select {
	case <-n.exited:
		return false
	default:
		return true
	}
}

// nodes lists all processes that run.
func (f *fleet) nodes() []*node {
	return slices.DeleteFunc(slices.Concat(f.apis, f.workers), func(n *node) bool { return !n.alive() })
}
