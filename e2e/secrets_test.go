package e2e

import (
	"bufio"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/internal/testenv"
)

// keeper is Penstock on one database, started again and again.
type keeper struct {
	t   *testing.T
	env []string
	*oracle

	database string
}

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	o := newOracle(t)
	k := &keeper{t: t, oracle: o, database: testenv.Postgres(t)}
	k.env = []string{
		"PENSTOCK_CONFIG=" + o.config(t, ""), "PENSTOCK_DATABASE_URL=" + k.database,
		"PENSTOCK_REDIS_URL=" + testenv.Redis(t),
	}
	return k
}

// up starts an API and a worker with the secrets.
func (k *keeper) up(secrets string) *written {
	k.t.Helper()
	w := k.api(secrets)
	addr := freeAddr(k.t)
	env := append(slices.Clip(k.env), "PENSTOCK_SECRET_KEY="+secrets, "PENSTOCK_WORKER_ADDR="+addr)
	w.processes = append(w.processes, start(k.t, env, "worker"))
	ready(k.t, addr)
	return w
}

// api starts an API with the secrets.
func (k *keeper) api(secrets string) *written {
	k.t.Helper()
	addr := freeAddr(k.t)
	env := append(slices.Clip(k.env), "PENSTOCK_SECRET_KEY="+secrets, "PENSTOCK_ADDR="+addr)
	p := start(k.t, env, "api")
	ready(k.t, addr)
	return &written{fleet: clientOf(k.t, addr), oracle: k.oracle, processes: []*process{p}}
}

func (w *written) down() {
	w.t.Helper()
	for _, p := range w.processes {
		if code := p.terminate(w.t); code != 0 {
			w.t.Errorf("exit code %d, want 0", code)
		}
	}
}

// refused starts a program that must not start for want of a secret.
func (k *keeper) refused(program, secrets string) {
	k.t.Helper()
	p := start(k.t, append(slices.Clip(k.env), "PENSTOCK_SECRET_KEY="+secrets, "PENSTOCK_ADDR=127.0.0.1:0",
		"PENSTOCK_WORKER_ADDR=127.0.0.1:0"), program)
	code, said := p.exitCode(k.t), p.log.String()
	if code != 2 || strings.Count(said, "\n") != 1 || !strings.Contains(said, "PENSTOCK_SECRET_KEY") ||
		!strings.Contains(said, "docs/OPERATING.md") {
		k.t.Errorf("%s with other secrets: exit code %d, said %q, want 2 and a line that says what to do", program, code, said)
	}
	for _, secret := range []string{secretA, secretB} {
		if strings.Contains(said, secret) {
			k.t.Errorf("%s tells a secret: %q", program, said)
		}
	}
}

// secretsInUse counts the secrets under which keys are wrapped.
func (k *keeper) secretsInUse() (n int) {
	k.t.Helper()
	conn, err := pgx.Connect(k.t.Context(), k.database)
	if err != nil {
		k.t.Fatal(err)
	}
	defer conn.Close(k.t.Context())
	const query = `SELECT count(DISTINCT kek_id) FROM tenant_keys WHERE erased_at IS NULL`
	if err := conn.QueryRow(k.t.Context(), query).Scan(&n); err != nil {
		k.t.Fatal(err)
	}
	return n
}

// A secret is exchanged as docs/OPERATING.md says, and whatever was sealed is
// read at each step. Without its secret, or with another alone, no program starts.
func TestASecretIsExchanged(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	readable := func(w *written, ids ...string) {
		t.Helper()
		for _, id := range ids {
			if a := w.get(http.MethodGet, "/v1/jobs/"+id, ""); !strings.Contains(a.text, marker+"answer") {
				t.Errorf("job %s: got %s", id, a.text)
			}
		}
	}
	w := k.up(secretA)
	first := w.tell("please answer first")
	readable(w, first.ID)
	w.down()
	for _, program := range []string{"api", "worker"} {
		k.refused(program, "")
		k.refused(program, secretB)
	}

	w = k.up(secretA + "," + secretB)
	second := w.tell("please answer second", "Penstock-Tenant", "other") // its key is under the old secret
	w.down()

	w = k.up(secretB + "," + secretA)
	third := w.tell("please answer third", "Penstock-Tenant", "third") // and this one under the new
	readable(w, first.ID)
	if second.Status != "succeeded" || third.Status != "succeeded" {
		t.Errorf("got %s and %s", second.text, third.text)
	}
	eventually(t, 20*time.Second, "all keys under one secret", func() bool { return k.secretsInUse() == 1 })
	w.down()

	w = k.up(secretB)
	readable(w, first.ID, w.tell("please answer fourth").ID)
	w.down()
	k.refused("api", secretA)
}

// Erasing a tenant makes its data unreadable in every process within half a
// minute and ends what lives of it, calls and listeners with it; other tenants
// notice nothing, and it can go on itself.
func TestATenantIsErased(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	w, second := k.up(secretA), k.api(secretA)
	const mine, others = "acme", "other"
	tenant := func(name string) []string { return []string{"Penstock-Tenant", name} }
	see := func(at *written, name, id string) told {
		t.Helper()
		return at.get(http.MethodGet, "/v1/jobs/"+id, "", tenant(name)...)
	}
	done, theirs := w.tell("please answer", tenant(mine)...), w.tell("please answer", tenant(others)...)
	running := w.submit("please wait", "", tenant(mine)...)
	for _, at := range []*written{w, second} {
		if a := see(at, mine, done.ID); !strings.Contains(a.text, marker+"answer") {
			t.Fatalf("before: got %s", a.text)
		}
	}
	ended := w.follow(mine, running.ID)
	eventually(t, 20*time.Second, "a call under way", func() bool { return len(k.calls()) == 3 })

	p := start(t, []string{"PENSTOCK_DATABASE_URL=" + k.database}, "api", "-erase-tenant", mine)
	if code, said := p.exitCode(t), p.log.String(); code != 0 ||
		!strings.Contains(said, `tenant "acme": 1 data key erased`) || !strings.Contains(said, "1 live execution ended") {
		t.Errorf("exit code %d, said %q", code, said)
	}
	select {
	case last := <-ended:
		if !strings.Contains(last, `"erased"`) {
			t.Errorf("the listener's last event: %s, want code erased", last)
		}
	case <-time.After(20 * time.Second):
		t.Error("a listener was not told of the end within 20 s")
	}
	eventually(t, 20*time.Second, "the call is cut off", func() bool { return k.cutOff() == 1 })
	if a := see(w, mine, running.ID); a.Status != "failed" || a.Error.Code != "erased" {
		t.Errorf("what ran: got %s", a.text)
	}
	for _, at := range []*written{w, second, k.api(secretA)} {
		eventually(t, 45*time.Second, "the data is unreadable", func() bool {
			a := see(at, mine, done.ID)
			return a.Error != nil && a.Error.Code == "erased" && !strings.Contains(a.text, marker)
		})
		if a := see(at, others, theirs.ID); !strings.Contains(a.text, marker+"answer") {
			t.Errorf("another tenant's job: got %s", a.text)
		}
	}
	a, err := w.ask(t.Context(), w.apis[0], http.MethodPost, "/v1/jobs/"+done.ID+"/retry", "", tenant(mine)...)
	if err != nil || a.status != http.StatusGone || a.code != "erased" {
		t.Errorf("retry: got %d %s (%v), want 410 erased", a.status, a.code, err)
	}
	anew := w.tell("please answer anew", tenant(mine)...)
	if a := see(second, mine, anew.ID); !strings.Contains(a.text, marker+"answer") {
		t.Errorf("afterwards: got %s", a.text)
	}
}

// follow reads a job's events to the end and sends the last one.
func (w *written) follow(tenant, id string) <-chan string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.apis[0].addr+"/v1/jobs/"+id+"/events", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Penstock-Tenant", tenant)
	ended := make(chan string, 1)
	go func() {
		resp, err := w.client.Do(req)
		if err != nil {
			ended <- err.Error()
			return
		}
		defer resp.Body.Close()
		last := ""
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				last = data
			}
		}
		ended <- last
	}()
	return ended
}

// What cannot be erased is said, with an exit code that a script sees.
func TestAnErasureOfNobody(t *testing.T) {
	t.Parallel()
	database := []string{"PENSTOCK_DATABASE_URL=" + testenv.Postgres(t)}
	p := start(t, database, "api", "-erase-tenant", "acmee")
	if code, said := p.exitCode(t), p.log.String(); code != 1 || !strings.Contains(said, `tenant "acmee" has no data key`) {
		t.Errorf("a tenant without data: exit code %d, said %q", code, said)
	}
	if p := start(t, database, "api", "-erase-tenant", ""); p.exitCode(t) != 2 {
		t.Errorf("no tenant: exit code %d, want 2", p.exitCode(t))
	}
}
