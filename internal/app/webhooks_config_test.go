package app

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/storage/sealed"
	"github.com/penstock-dev/penstock/webhooks/courier"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

const anyProvider = "providers: {sim: {type: simulated}}\n"

func TestWebhooksAreConfigured(t *testing.T) {
	t.Parallel()
	path := writeFile(t, anyProvider+`
webhooks:
  allow_networks: [10.1.0.0/16, "${NETWORK}"]
  allow_http: true
  proxy: "http://user:${WORD}@proxy.internal:3128"
  queues: {live: 5, slow: 4, bulk: 3}
  operator_tenant: ops
tenants:
  acme: {webhook_allow: ["https://hooks.acme.com/penstock/", "${HOOKS}"]}
  other: {}
`)
	c, err := LoadConfig(RoleEmbedded, env("PENSTOCK_CONFIG", path, "NETWORK", "fd00::/8", "WORD", "secret", "HOOKS", "https://a.example",
		"PENSTOCK_PUBLIC_URL", "https://penstock.example.com/base/"))
	if err != nil {
		t.Fatal(err)
	}
	g := c.guard()
	if want := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}; !reflect.DeepEqual(g.Networks, want) {
		t.Errorf("networks %v, want %v", g.Networks, want)
	}
	if !g.PlainHTTP || g.Proxy.String() != "http://user:secret@proxy.internal:3128" {
		t.Errorf("got http %t, proxy %s", g.PlainHTTP, g.Proxy)
	}
	if got := c.File.Webhooks.queues(); got != (courier.Queues{Live: 5, Slow: 4, Bulk: 3}) || c.File.Webhooks.OperatorTenant != "ops" {
		t.Errorf("got queues %+v, operator %q", got, c.File.Webhooks.OperatorTenant)
	}
	allowed := map[string][]delivery.Allowed{}
	for _, text := range []string{"https://hooks.acme.com/penstock/", "https://a.example"} {
		a, err := delivery.ParseAllowed(text)
		if err != nil {
			t.Fatal(err)
		}
		allowed["acme"] = append(allowed["acme"], a)
	}
	if got := c.File.allowed(); !reflect.DeepEqual(got, allowed) {
		t.Errorf("allowed: got %+v, want %+v", got, allowed)
	}
	if c.PublicURL != "https://penstock.example.com/base" {
		t.Errorf("public URL %q", c.PublicURL)
	}
}

func TestWebhooksNeedNoConfiguration(t *testing.T) {
	t.Parallel()
	c, err := LoadConfig(RoleEmbedded, env())
	if err != nil {
		t.Fatal(err)
	}
	g := c.guard()
	if g.Networks != nil || g.PlainHTTP || g.Proxy != nil || c.File.Webhooks.OperatorTenant != "default" || len(c.File.allowed()) != 0 {
		t.Errorf("got %+v, %+v", g, c.File.Webhooks)
	}
}

// Receivers on the same machine are for trying things out, and said so.
func TestWebhooksToLoopback(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		role Role
		addr string
		want bool
	}{
		{RoleEmbedded, "127.0.0.1:8080", true},
		{RoleEmbedded, "localhost:8080", true},
		{RoleEmbedded, "0.0.0.0:8080", false},
		{RoleEmbedded, ":8080", false},
		{RoleAPI, "127.0.0.1:8080", false},
		{RoleWorker, "127.0.0.1:8080", false},
	} {
		cfg := Config{Role: c.role, Addr: c.addr}
		var log bytes.Buffer
		cfg.tellWebhooks(zerolog.New(&log))
		if got, told := cfg.guard().Loopback, strings.Contains(log.String(), "to this machine"); got != c.want || told != c.want {
			t.Errorf("%s at %s: allowed %t, said %t, want %t", c.role, c.addr, got, told, c.want)
		}
	}
}

func TestPublicURL(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080", ":8080": "http://localhost:8080", "0.0.0.0:80": "http://localhost:80",
		"[::]:80": "http://localhost:80", "[::1]:80": "http://[::1]:80", "penstock:80": "http://penstock:80",
	} {
		if c, err := LoadConfig(RoleEmbedded, env("PENSTOCK_ADDR", addr)); err != nil || c.PublicURL != want {
			t.Errorf("at %s: got %q, %v, want %q", addr, c.PublicURL, err, want)
		}
	}
	for _, text := range []string{
		"penstock.example.com", "ftp://a.example", "https://", "https://u:hunter2@a.example", "https://a.example?x", "https://a.example/#", "https://a.example/%zz",
	} {
		_, err := LoadConfig(RoleEmbedded, env("PENSTOCK_PUBLIC_URL", text))
		var e *ConfigError
		if !errors.As(err, &e) || e.Key != "PENSTOCK_PUBLIC_URL" || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", text, err)
		}
	}
	for _, given := range []string{"", "https://a.example"} {
		c, err := LoadConfig(RoleWorker, env("PENSTOCK_DATABASE_URL", "postgres://h/d", "PENSTOCK_REDIS_URL", "redis://h",
			"PENSTOCK_CONFIG", writeFile(t, anyProvider), "PENSTOCK_PUBLIC_URL", given))
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		c.tellWebhooks(zerolog.New(&log))
		if said := strings.Contains(log.String(), "PENSTOCK_PUBLIC_URL"); said != (given == "") {
			t.Errorf("a worker with public URL %q says %q", given, log.String())
		}
	}
}

func TestWrongWebhooksNameTheKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, key, want string }{
		{"webhooks: {allow_networks: [10.1.0.0/16, 10.1.2.3/16]}", "webhooks.allow_networks.1", `"10.1.2.3/16"`},
		{"webhooks: {allow_networks: [10.1.0.0]}", "webhooks.allow_networks.0", "such as 10.1.0.0/16"},
		{"webhooks: {allow_networks: ['::ffff:10.0.0.0/104']}", "webhooks.allow_networks.0", "expected a network"},
		{"webhooks: {allow_networks: ['${NOPE}']}", "webhooks.allow_networks.0", "NOPE"},
		{"webhooks: {allow_http: yes please}", "PENSTOCK_CONFIG", "true or false"},
		{"webhooks: {proxy: 'ftp://p'}", "webhooks.proxy", "http, https or socks5"},
		{"webhooks: {proxy: 'http://'}", "webhooks.proxy", "http, https or socks5"},
		{"webhooks: {proxy: 'http://u:hunter2@%zz'}", "webhooks.proxy", "http, https or socks5"},
		{"webhooks: {proxy: 'http://u:${NOPE}@p'}", "webhooks.proxy", "NOPE"},
		{"webhooks: {queues: {live: -1}}", "webhooks.queues.live", "-1"},
		{"webhooks: {queues: {slow: 10001}}", "webhooks.queues.slow", "1 to 10000"},
		{"webhooks: {queues: {bulk: 0.5}}", "PENSTOCK_CONFIG", "expected a whole number"},
		{"webhooks: {queues: {fast: 5}}", "PENSTOCK_CONFIG", `unknown field "fast"`},
		{"webhooks: {operator_tenant: a b}", "webhooks.operator_tenant", `"a b"`},
		{"webhooks: {urls: []}", "PENSTOCK_CONFIG", `unknown field "urls"`},
		{"tenants: {a/b: {}}", "tenants", `"a/b"`},
		{"tenants: {acme: {webhook_allow: [hooks.acme.com]}}", "tenants.acme.webhook_allow.0", "is no URL"},
		{"tenants: {acme: {webhook_allow: ['https://a.example/', 'https://a.example/../']}}", "tenants.acme.webhook_allow.1", "several ways"},
		{"tenants: {acme: {webhook_allow: ['${NOPE}']}}", "tenants.acme.webhook_allow.0", "NOPE"},
		{"tenants: {acme: {allow: []}}", "PENSTOCK_CONFIG", `unknown field "allow"`},
	} {
		_, err := LoadConfig(RoleEmbedded, env("PENSTOCK_CONFIG", writeFile(t, anyProvider+c.file)))
		var e *ConfigError
		if !errors.As(err, &e) || e.Key != c.key || !strings.Contains(e.Reason, c.want) || strings.Contains(e.Reason, "hunter2") {
			t.Errorf("%s:\ngot %v, want %s with %q", c.file, err, c.key, c.want)
		}
	}
}

func TestAnEmbeddedProcessKeepsAKey(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	cfg := Config{Role: RoleEmbedded, DataDir: dir}
	first, err := localSecrets(cfg)
	if err != nil || len(first) != 1 {
		t.Fatalf("got %v, %v", first, err)
	}
	info, err := os.Stat(filepath.Join(dir, "webhook.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a file that only its owner reads", info, err)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("there is more than the key: %v, %v", all, err)
	}
	cfg.Secrets = first // any will do
	again, err := localSecrets(cfg)
	if err != nil || len(again) != 1 || again[0].ID() != first[0].ID() {
		t.Errorf("the next time: got %v, %v, want %v", again, err, first)
	}
}

func TestWhoHasNoKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	secrets, err := sealed.ParseSecrets("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
	if err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]Config{
		"an API":          {Role: RoleAPI},
		"a worker":        {Role: RoleWorker},
		"with a real one": {Role: RoleEmbedded, Secrets: secrets},
	} {
		cfg.DataDir = t.TempDir()
		got, err := localSecrets(cfg)
		if files, _ := os.ReadDir(cfg.DataDir); err != nil || got != nil || len(files) != 0 {
			t.Errorf("%s: got %v, %v, files %v", name, got, err, files)
		}
	}
}

func TestAKeyThatIsNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "aHVudGVyMg==", "hunter2!", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=,MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="} {
		cfg := Config{Role: RoleEmbedded, DataDir: t.TempDir()}
		if err := os.WriteFile(filepath.Join(cfg.DataDir, "webhook.key"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := localSecrets(cfg)
		var e *ConfigError
		if !errors.As(err, &e) || e.Key != "PENSTOCK_DATA_DIR" || !strings.Contains(e.Reason, "webhook.key") || strings.Contains(e.Reason, "hunter2") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

// Two that start at the same time have the same key.
func TestAKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "webhook.key")
	first, err := makeKey(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := makeKey(path)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("a key that was there was overwritten: %v", err)
	}
}
