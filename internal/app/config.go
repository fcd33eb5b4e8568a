package app

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/jobs/queue"
	"github.com/penstock-dev/penstock/storage/sealed"
)

// Role is which half of Penstock a process is.
type Role string

// The roles of a process.
const (
	RoleAPI      Role = "api"
	RoleWorker   Role = "worker"
	RoleEmbedded Role = "embedded"
)

func (r Role) serves() bool { return r == RoleAPI || r == RoleEmbedded }
func (r Role) runs() bool   { return r == RoleWorker || r == RoleEmbedded }

// Config is all that a process is told from outside: environment and file.
type Config struct {
	Role Role
	// Addr is where the API listens (PENSTOCK_ADDR, 127.0.0.1:8080).
	Addr string
	// WorkerAddr is where a worker answers healthz, readyz and metrics
	// (PENSTOCK_WORKER_ADDR, 127.0.0.1:8081).
	WorkerAddr string
	// DatabaseURL names the store (PENSTOCK_DATABASE_URL; embedded: SQLite in
	// DataDir).
	DatabaseURL string
	// RedisURL names the queue's Redis (PENSTOCK_REDIS_URL; embedded: empty for
	// one in this process).
	RedisURL string
	// DataDir holds what an embedded process keeps (PENSTOCK_DATA_DIR,
	// ./penstock-data).
	DataDir string
	// PublicURL is where callers find the API, without a slash at the end
	// (PENSTOCK_PUBLIC_URL, http:// and Addr).
	PublicURL string
	// LogConsole asks for lines for people instead of JSON, LogLevel for the
	// lowest level (PENSTOCK_LOG, json,info).
	LogConsole bool
	LogLevel   zerolog.Level
	// Secrets seal what the store keeps; none: it is kept in plain
	// (PENSTOCK_SECRET_KEY, none).
	Secrets []sealed.Secret
	// LocalSecrets is the key of an embedded process that seals secrets of webhooks where
	// there are no Secrets; it is in DataDir.
	LocalSecrets []sealed.Secret
	// File is the configuration file (PENSTOCK_CONFIG; embedded: a simulated
	// provider behind route default).
	File File
	// publicByDefault says that PENSTOCK_PUBLIC_URL is not set.
	publicByDefault bool
	// reread reads the file again; nil when there is none.
	reread func() (File, error)
}

// ConfigError is a wrong configuration: which key, and what was expected. It
// never quotes a value that may be a secret.
type ConfigError struct {
	Key    string
	Reason string
}

// Error says both in one line.
func (e *ConfigError) Error() string { return e.Key + ": " + e.Reason }

func wrong(key, format string, args ...any) error {
	return &ConfigError{Key: key, Reason: fmt.Sprintf(format, args...)}
}

// LoadConfig reads the environment and the file it names. Every error is a
// [*ConfigError].
func LoadConfig(role Role, getenv func(string) string) (Config, error) {
	c := fromEnvironment(role, getenv)
	for _, check := range []func() error{c.checkAddrs, c.checkPublicURL, c.checkDatabase, c.checkRedis} {
		if err := check(); err != nil {
			return Config{}, err
		}
	}
	if err := c.readLog(getenv("PENSTOCK_LOG")); err != nil {
		return Config{}, err
	}
	var err error
	if c.Secrets, err = sealed.ParseSecrets(getenv("PENSTOCK_SECRET_KEY")); err != nil {
		return Config{}, wrong("PENSTOCK_SECRET_KEY", "%v", err)
	}
	path := getenv("PENSTOCK_CONFIG")
	if c.File, err = loadFile(role, path, getenv); path != "" {
		c.reread = func() (File, error) { return loadFile(role, path, getenv) }
	}
	return *c, err
}

// fromEnvironment takes the variables as they are.
func fromEnvironment(role Role, getenv func(string) string) *Config {
	get := func(key, def string) string {
		if v := getenv(key); v != "" {
			return v
		}
		return def
	}
	c := &Config{
		Role:        role,
		Addr:        get("PENSTOCK_ADDR", "127.0.0.1:8080"),
		WorkerAddr:  get("PENSTOCK_WORKER_ADDR", "127.0.0.1:8081"),
		DatabaseURL: getenv("PENSTOCK_DATABASE_URL"),
		RedisURL:    getenv("PENSTOCK_REDIS_URL"),
		DataDir:     get("PENSTOCK_DATA_DIR", "./penstock-data"),
		PublicURL:   getenv("PENSTOCK_PUBLIC_URL"),
		LogLevel:    zerolog.InfoLevel,
	}
	if role == RoleEmbedded && c.DatabaseURL == "" {
		c.DatabaseURL = "sqlite://" + filepath.Join(c.DataDir, "penstock.db")
	}
	return c
}

func (c *Config) checkAddrs() error {
	for key, addr := range map[string]string{"PENSTOCK_ADDR": c.Addr, "PENSTOCK_WORKER_ADDR": c.WorkerAddr} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return wrong(key, "expected host:port such as 127.0.0.1:8080, got %q", addr)
		}
	}
	return nil
}

// checkDatabase refuses what the two halves cannot share.
func (c *Config) checkDatabase() error {
	switch scheme, _, _ := strings.Cut(c.DatabaseURL, ":"); scheme {
	case "postgres", "postgresql":
	case "sqlite":
		if c.Role != RoleEmbedded {
			return wrong("PENSTOCK_DATABASE_URL", "SQLite serves one process: expected postgres://… here, or cmd/api -embedded")
		}
	case "":
		return wrong("PENSTOCK_DATABASE_URL", "expected postgres://user:password@host:5432/database; "+
			"or start cmd/api -embedded, which brings its own store")
	default:
		return wrong("PENSTOCK_DATABASE_URL", "expected postgres://… (or sqlite://… with -embedded), got scheme %q", scheme)
	}
	return nil
}

func (c *Config) checkRedis() error {
	if c.RedisURL == "" && c.Role != RoleEmbedded {
		return wrong("PENSTOCK_REDIS_URL", "expected redis://host:6379, rediss://…, redis-sentinel://… or a cluster with ?addr=")
	}
	if c.RedisURL == "" {
		return nil
	}
	client, err := queue.Connect(c.RedisURL) // reaches for nothing
	if err != nil {
		return wrong("PENSTOCK_REDIS_URL", "%v; expected such as redis://host:6379", err)
	}
	_ = client.Close()
	return nil
}

func (c *Config) readLog(s string) error {
	for word := range strings.SplitSeq(s, ",") {
		switch word = strings.TrimSpace(word); word {
		case "json", "":
		case "console":
			c.LogConsole = true
		default:
			level, err := zerolog.ParseLevel(word)
			if err != nil {
				return wrong("PENSTOCK_LOG", "expected json or console and a level, such as console,debug; got %q", word)
			}
			c.LogLevel = level
		}
	}
	return nil
}

// onLoopback reports whether addr can only be reached from this machine.
func onLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// drainDelay is how long the API answers on after it was told to stop. Nobody
// balances load over embedded processes or workers.
func (c *Config) drainDelay() time.Duration {
	switch {
	case c.Role != RoleAPI:
		return 0
	case c.File.DrainDelay != nil:
		return *c.File.DrainDelay
	default:
		return 2 * time.Second
	}
}

// pollInterval is how often an idle worker looks for tasks it was not told of;
// zero for the queue's default. Inside one process nothing gets lost on the way.
func (c *Config) pollInterval() time.Duration {
	if c.RedisURL == "" {
		return 5 * time.Second
	}
	return 0
}
