package app

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/providers"
)

// env returns a getenv over pairs of name and value.
func env(pairs ...string) func(string) string {
	vars := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		vars[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return vars[name] }
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "penstock.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEmbeddedNeedsNoConfiguration(t *testing.T) {
	t.Parallel()
	c, err := LoadConfig(RoleEmbedded, env())
	if err != nil {
		t.Fatal(err)
	}
	if c.DatabaseURL != "sqlite://penstock-data/penstock.db" || c.RedisURL != "" || c.Addr != "127.0.0.1:8080" {
		t.Errorf("got store %q, Redis %q, address %q", c.DatabaseURL, c.RedisURL, c.Addr)
	}
	route, err := c.File.catalog().Resolve("default")
	if err != nil || route.Targets[0].String() != "sim/sim-1" || route.MaxAttempts != 5 {
		t.Errorf("route default: got %+v, %v", route, err)
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	path := writeFile(t, `
providers:
  openai: {type: openai, api_key: "${KEY}", models: [gpt-5-mini], concurrency: 200}
  local: {type: openai, base_url: "http://127.0.0.1:11434/v1"}
  azure: {type: openai, base_url: "http://127.0.0.1:9/v1", endpoints: [chat/completions, responses]}
  claude: {type: anthropic, api_key: "${KEY}", max_tokens: 4096, no_streaming: true}
  google: {type: gemini, api_key: "${KEY}"}
routes:
  fast: {targets: [openai/gpt-5-mini, local/llama3], timeout: 60s, max_attempts: 3}
trust_tenant_header: true
drain_timeout: 30s
data_key_age: 720h
files: {url: "s3://${REDACTOR}/files?region=eu-south-1", max_bytes: 1000}
redaction:
  rules: [{pattern: "[a-z]+@example.org", replace: "[mail]"}]
  url: "https://${REDACTOR}/v1"
  api_key: "${KEY}"
  timeout: 2s
`)
	c, err := LoadConfig(RoleWorker, env("PENSTOCK_CONFIG", path, "KEY", "secret", "REDACTOR", "redact.internal", "PENSTOCK_LOG", "console,debug",
		"PENSTOCK_DATABASE_URL", "postgres://localhost/penstock", "PENSTOCK_REDIS_URL", "redis://localhost:6379"))
	if err != nil {
		t.Fatal(err)
	}
	p := c.File.Providers
	if p["openai"].APIKey != "secret" || p["openai"].Concurrency != 200 || p["local"].Concurrency != defaultConcurrency {
		t.Errorf("providers: got %+v", p)
	}
	if p["claude"].APIKey != "secret" || p["claude"].MaxTokens != 4096 || !p["claude"].NoStreaming {
		t.Errorf("anthropic: got %+v", p["claude"])
	}
	checks := c.File.checks()
	for name, want := range map[string]bool{"openai": true, "azure": true, "local": false, "claude": false, "google": false} {
		if native := checks[name](providers.Responses, json.RawMessage(`{"input":"x","truncation":"auto"}`)) == nil; native != want {
			t.Errorf("%s has responses natively: got %t, want %t", name, native, want)
		}
	}
	if err := checks["google"](providers.ChatCompletions, json.RawMessage(`{"messages":[],"n":9}`)); p["google"].APIKey != "secret" || err == nil {
		t.Errorf("gemini: got %+v, and %v of a request it cannot carry", p["google"], err)
	}
	if !c.File.TrustTenantHeader || c.File.DrainTimeout != 30*time.Second {
		t.Errorf("got %+v", c.File)
	}
	if want := (FilesConfig{URL: "s3://redact.internal/files?region=eu-south-1", MaxBytes: 1000}); c.File.Files != want {
		t.Errorf("files: got %+v, want %+v", c.File.Files, want)
	}
	if !c.LogConsole || c.LogLevel != zerolog.DebugLevel {
		t.Errorf("log: got console %v, level %v", c.LogConsole, c.LogLevel)
	}
	redaction := RedactionConfig{
		Rules: []RedactionRule{{Pattern: "[a-z]+@example.org", Replace: "[mail]"}},
		URL:   "https://redact.internal/v1", APIKey: "secret", Timeout: 2 * time.Second,
	}
	if c.File.DataKeyAge != 720*time.Hour || !reflect.DeepEqual(c.File.Redaction, &redaction) {
		t.Errorf("got %s, %+v", c.File.DataKeyAge, c.File.Redaction)
	}
	route, err := c.File.catalog().Resolve("fast")
	if err != nil || len(route.Targets) != 2 || route.Timeouts.Total != time.Minute || route.MaxAttempts != 3 {
		t.Errorf("route: got %+v, %v", route, err)
	}
	for _, model := range []string{"gpt-5-mini", "openai/anything", "local/llama3"} {
		if _, err := c.File.catalog().Resolve(model); err != nil {
			t.Errorf("%s: %v", model, err)
		}
	}
	_, err = c.File.catalog().Resolve("gpt-9")
	if err == nil || !strings.Contains(err.Error(), "fast, azure/…, claude/…, google/…, local/…, openai/gpt-5-mini") {
		t.Errorf("unknown model: got %v, want what exists", err)
	}
}

func TestWrongConfigurationNamesTheKey(t *testing.T) {
	t.Parallel()
	halves := []string{"PENSTOCK_DATABASE_URL", "postgres://h/d", "PENSTOCK_REDIS_URL", "redis://h"}
	for _, tc := range []struct {
		role      Role
		env       []string
		file      string
		key, want string
	}{
		{RoleAPI, nil, "", "PENSTOCK_DATABASE_URL", "-embedded"},
		{RoleWorker, []string{"PENSTOCK_DATABASE_URL", "sqlite://x"}, "", "PENSTOCK_DATABASE_URL", "one process"},
		{RoleAPI, []string{"PENSTOCK_DATABASE_URL", "mysql://x"}, "", "PENSTOCK_DATABASE_URL", `"mysql"`},
		{RoleAPI, halves[:2], "", "PENSTOCK_REDIS_URL", "redis://"},
		{RoleAPI, append(halves[:3:3], "http://h"), "", "PENSTOCK_REDIS_URL", "redis://"},
		{RoleAPI, halves, "providers: {a: {type: openai}}\ndrain_delay: -1s", "drain_delay", "2s"},
		{RoleAPI, halves, "providers: {a: {type: openai}}\nretention: {default: 1m}", "retention", "default: expected at least 1h"},
		{RoleAPI, halves, "providers: {a: {type: openai}}\nretention: {tenants: {acme: 800h}}", "retention", "acme: expected at most"},
		{RoleAPI, halves, "providers: {a: {type: openai}}\nretention: {default: 30d}", "PENSTOCK_CONFIG", "30d"},
		{RoleAPI, halves, "", "PENSTOCK_CONFIG", "examples/penstock.yaml"},
		{RoleEmbedded, []string{"PENSTOCK_ADDR", "8080"}, "", "PENSTOCK_ADDR", "host:port"},
		{RoleEmbedded, []string{"PENSTOCK_LOG", "loud"}, "", "PENSTOCK_LOG", `"loud"`},
		{RoleEmbedded, []string{"PENSTOCK_CONFIG", "/no/such/file"}, "", "PENSTOCK_CONFIG", "cannot be read"},
		{RoleEmbedded, nil, "providers: [", "PENSTOCK_CONFIG", ""},
		{RoleEmbedded, nil, "nonsense: 1", "PENSTOCK_CONFIG", `unknown field "nonsense"`},
		{RoleEmbedded, nil, "providers: {}", "providers", "1 to 64"},
		{RoleEmbedded, nil, "providers: {a: {type: simulated}}\n---\nproviders: {}", "PENSTOCK_CONFIG", "[3:10] expected one document"},
		{RoleEmbedded, nil, "providers: {a: {type: simulated, limits: {rpm: 0.5}}}", "PENSTOCK_CONFIG", "[1:48] expected a whole number"},
		{RoleEmbedded, nil, "providers: {a: {type: simulated, concurrency: .inf}}", "PENSTOCK_CONFIG", "a smaller number"},
		{RoleEmbedded, nil, "providers: {a: {type: simulated, concurrency: lots}}", "PENSTOCK_CONFIG", "[1:47] expected a whole number"},
		{RoleEmbedded, nil, "providers: {a: {type: simulated, concurrency: 99999999999999999999}}", "PENSTOCK_CONFIG", "a smaller number"},
		{RoleEmbedded, nil, "providers: {a: {type: [simulated]}}", "PENSTOCK_CONFIG", "expected a text"},
		{RoleEmbedded, nil, "routes: {r: {patience: 5}}", "PENSTOCK_CONFIG", "[1:24] expected a duration such as 5s"},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nroutes: {r: {targets: [a/b, a/c], hedge: {budget: .nan}}}",
			"routes.r.hedge.budget", "expected 0 to 0.5",
		},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nroutes: {r: {targets: [a/b, a/b]}}",
			"routes.r.targets", `each target once, got "a/b" twice`,
		},
		{RoleEmbedded, nil, "providers: {a: {type: openai, limits: {rps: 5}}}", "PENSTOCK_CONFIG", `unknown field "rps"`},
		{RoleEmbedded, nil, "providers: {a: {type: openai, limits: {rpm: -5}}}", "providers.a.limits.rpm", "expected 1 to"},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nroutes: {r: {targets: [a/b], hedge: {budget: 0.1}}}",
			"routes.r.hedge.budget", "two targets or more",
		},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nroutes: {r: {targets: [a/b, a/c], patience: -1s}}",
			"routes.r.patience", "expected a duration",
		},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nroutes: {r: {targets: [a/b], on_unavailable: retry}}",
			"routes.r.on_unavailable", "wait, fail or degrade",
		},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nroutes: {r: {targets: [a/b], degraded: [a/c, a/b]}}",
			"routes.r.degraded", `other targets than those in targets, got "a/b"`,
		},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nroutes: {r: {targets: [a/b], degraded: [b/c]}}",
			"routes.r.degraded", `"b/c"`,
		},
		{RoleEmbedded, nil, "providers: {a: {type: openai}}\nuse_cases: {chat: {most: 0.5}}", "use_cases.chat.share", "more than 0"},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nuse_cases: {chat: {share: 0.5, most: 0.2}}",
			"use_cases.chat.most", "at least share",
		},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nuse_cases: {chat: {share: 0.6}, reports: {share: 0.6}}",
			"use_cases", "at most 1 together",
		},
		{
			RoleEmbedded, nil,
			"providers: {a: {type: openai}}\nuse_cases: {chat: {share: 0.6}}\nroutes: {r: {targets: [a/b], use_case: char}}",
			"routes.r.use_case", `expected one of chat, default, got "char"`,
		},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai, prices: {m: {input: -1}}}}",
			"providers.a.prices.m", "dollars per million",
		},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai, prices: {m: {input: .inf}}}}",
			"providers.a.prices.m", "from 0 to 1000000",
		},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nroutes: {r: {targets: [a/b], weigh: {price: 11}}}",
			"routes.r.weigh", "from 0 to 10",
		},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nroutes: {r: {targets: [a/b], weigh: {price: 0, latency: 0}}}",
			"routes.r.weigh", "not both 0",
		},
		{RoleEmbedded, nil, "providers: {a: {type: cohere}}", "providers.a.type", `"cohere"`},
		{RoleEmbedded, nil, "providers: {A: {type: openai}}", "providers.A", "a-z"},
		{
			RoleEmbedded, nil, "providers: {" + strings.Repeat("a", 33) + ": {type: openai}}",
			"providers." + strings.Repeat("a", 33), "32",
		},
		{RoleEmbedded, nil, "providers: {a: {type: openai, api_key: '${NOPE}'}}", "providers.a.api_key", "NOPE"},
		{RoleEmbedded, nil, "providers: {a: {type: openai, base_url: 'ftp://x'}}", "providers.a.base_url", "URL"},
		{RoleEmbedded, nil, "providers: {a: {type: openai, max_tokens: 5}}", "providers.a.max_tokens", "anthropic"},
		{RoleEmbedded, nil, "providers: {a: {type: openai, endpoints: [responses, images]}}", "providers.a.endpoints", "images"},
		{RoleEmbedded, nil, "providers: {a: {type: anthropic, endpoints: [embeddings]}}", "providers.a.endpoints", "belongs to type openai"},
		{RoleEmbedded, nil, "providers: {a: {type: anthropic, max_tokens: -5}}", "providers.a.max_tokens", "-5"},
		{RoleEmbedded, nil, "providers: {a: {type: anthropic, base_url: 'ftp://x'}}", "providers.a.base_url", "api.anthropic.com"},
		{RoleEmbedded, nil, "providers: {a: {type: anthropic, no_done_event: true}}", "providers.a", "belong to type openai"},
		{RoleEmbedded, nil, "providers: {a: {type: anthropic, seed: 1}}", "providers.a", "belong to type simulated"},
		{RoleEmbedded, nil, "providers: {a: {type: gemini, max_tokens: 5}}", "providers.a.max_tokens", "belongs to type anthropic"},
		{RoleEmbedded, nil, "providers: {a: {type: gemini, endpoints: [embeddings]}}", "providers.a.endpoints", "belongs to type openai"},
		{RoleEmbedded, nil, "providers: {a: {type: gemini, base_url: 'ftp://x'}}", "providers.a.base_url", "generativelanguage"},
		{RoleEmbedded, nil, "providers: {a: {type: gemini, no_stream_options: true}}", "providers.a", "belong to type openai"},
		{RoleEmbedded, nil, "providers: {a: {type: gemini, faults: f.json}}", "providers.a", "belong to type simulated"},
		{RoleEmbedded, nil, "providers: {a: {type: openai, concurrency: -1}}", "providers.a.concurrency", "-1"},
		{RoleEmbedded, nil, "providers: {a: {type: simulated, latency: -1s}}", "providers.a.latency", "250ms"},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nroutes: {r: {targets: [b/c]}}",
			"routes.r.targets", `"b/c"`,
		},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nroutes: {r: {mode: random, targets: [a/b]}}",
			"routes.r.mode", "active_passive",
		},
		{RoleEmbedded, nil, "providers: {a: {type: openai}}\ndata_key_age: 5m", "data_key_age", "1h"},
		{RoleEmbedded, nil, "providers: {a: {type: openai}}\nfiles: {url: 'https://hunter2'}", "files.url", "s3://bucket"},
		{RoleEmbedded, nil, "providers: {a: {type: openai}}\nfiles: {url: 's3://b?secret=hunter2'}", "files.url", "region or endpoint"},
		{RoleEmbedded, nil, "providers: {a: {type: openai}}\nfiles: {url: 's3://${NOPE}'}", "files.url", "NOPE"},
		{RoleEmbedded, nil, "providers: {a: {type: openai}}\nfiles: {max_bytes: -1}", "files.max_bytes", "-1"},
		{RoleEmbedded, nil, "providers: {a: {type: openai}}\nfiles: {max_bytes: 0.5}", "PENSTOCK_CONFIG", "whole number"},
		{RoleEmbedded, nil, "providers: {a: {type: openai}}\nredaction: {}", "redaction", "rules, url or both"},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nredaction: {rules: [{pattern: a}, {pattern: 'b('}]}",
			"redaction.rules.1.pattern", "missing closing )",
		},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nredaction: {rules: [{pattern: a*}]}",
			"redaction.rules.0.pattern", "empty string",
		},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nredaction: {rules: [{pattern: a, with: b}]}",
			"PENSTOCK_CONFIG", `unknown field "with"`,
		},
		{RoleEmbedded, nil, "providers: {a: {type: openai}}\nredaction: {url: 'redact:80'}", "redaction.url", "https://"},
		{RoleEmbedded, nil, "providers: {a: {type: openai}}\nredaction: {url: '${NOPE}'}", "redaction.url", "NOPE"},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nredaction: {url: 'http://r', api_key: '${NOPE}'}",
			"redaction.api_key", "NOPE",
		},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nredaction: {url: 'http://r', timeout: 1m}",
			"redaction.timeout", "20s",
		},
		{
			RoleEmbedded, nil, "providers: {a: {type: openai}}\nredaction: {rules: [{pattern: a}], timeout: 1s}",
			"redaction", "belong to url",
		},
		{
			RoleEmbedded, nil, "providers: {a: {type: simulated, timeouts: {connect: -1s}}}",
			"providers.a.timeouts.connect", "60s",
		},
		{
			RoleEmbedded, nil, "providers: {a: {type: simulated}}\nroutes: {r: {targets: [a/m], timeouts: {between_tokens: -1s}}}",
			"routes.r.timeouts.between_tokens", "60s",
		},
		{
			RoleEmbedded, nil, "providers: {a: {type: simulated}}\nroutes: {r: {targets: [a/m], timeout: 1s, timeouts: {total: 1s}}}",
			"routes.r.timeout", "one of them",
		},
		{RoleEmbedded, []string{"PENSTOCK_SECRET_KEY", "hunter2!"}, "", "PENSTOCK_SECRET_KEY", "openssl rand -base64 32"},
		{RoleEmbedded, []string{"PENSTOCK_SECRET_KEY", "aHVudGVyMg=="}, "", "PENSTOCK_SECRET_KEY", "entry 1 has 7 bytes"},
	} {
		vars := tc.env
		if tc.file != "" {
			vars = append(vars, "PENSTOCK_CONFIG", writeFile(t, tc.file))
		}
		_, err := LoadConfig(tc.role, env(vars...))
		e, ok := errors.AsType[*ConfigError](err)
		if !ok || e.Key != tc.key || !strings.Contains(e.Reason, tc.want) {
			t.Errorf("%s %v %q: got %v, want key %s and %q", tc.role, tc.env, tc.file, err, tc.key, tc.want)
		}
		if ok && strings.Contains(e.Error(), "\n") {
			t.Errorf("%q: more than one line: %q", tc.file, e.Error())
		}
		if ok && strings.Contains(e.Error(), "hunter2") {
			t.Errorf("%v: the error quotes a secret: %v", tc.env, e)
		}
	}
}

func TestAWrongFileDoesNotShowItsSecrets(t *testing.T) {
	t.Parallel()
	path := writeFile(t, "providers:\n  a: {type: openai, api_key: hunter2, typo: hunter2}\n")
	_, err := LoadConfig(RoleEmbedded, env("PENSTOCK_CONFIG", path))
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v, want an error without the key", err)
	}
}
