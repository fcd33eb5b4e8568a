package queue

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Timeouts of a client whose URL says nothing. They bound how long a Redis that
// does not answer holds a consumer up, also after it is back.
const (
	dialTimeout = time.Second
	ioTimeout   = 2 * time.Second
)

// Connect returns a client for a Redis URL, to be closed by the caller. It does
// not reach for the server: see [Check].
//
//	redis://user:password@host:6379/0           one server; rediss:// for TLS
//	redis://host:6379?addr=host2:6379           a cluster: any addr parameter makes it one
//	redis-sentinel://host:26379/0?master_name=m  sentinels, more of them as addr
//	                                            parameters; rediss-sentinel:// for TLS;
//	                                            username and password parameters are the
//	                                            server's, those before @ the sentinels'
//
// Other parameters are those of go-redis, such as pool_size or read_timeout.
// No error holds the URL, because it may hold a password.
func Connect(rawURL string) (redis.UniversalClient, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, errors.New("connect to Redis: not a URL")
	}
	client, err := connect(u)
	if err != nil {
		return nil, fmt.Errorf("connect to Redis: %w", explain(err))
	}
	return client, nil
}

func connect(u *url.URL) (redis.UniversalClient, error) {
	base, sentinel := strings.CutSuffix(u.Scheme, "-sentinel")
	switch {
	case base != "redis" && base != "rediss":
		return nil, errScheme
	case u.Host == "":
		return nil, errors.New("want a host, as in redis://127.0.0.1:6379/0")
	case sentinel:
		return connectSentinel(u, base)
	case u.Query().Has("addr"):
		return connectCluster(u)
	default:
		return connectServer(u)
	}
}

var errScheme = errors.New("want a URL that starts with redis://, rediss://, redis-sentinel:// or rediss-sentinel://")

func connectServer(u *url.URL) (redis.UniversalClient, error) {
	options, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, err
	}
	tune(timeouts{&options.DialTimeout, &options.ReadTimeout, &options.WriteTimeout}, &options.DialerRetries)
	options.ContextTimeoutEnabled = true
	options.MaintNotificationsConfig = noMaintenance()
	return redis.NewClient(options), nil
}

func connectCluster(u *url.URL) (redis.UniversalClient, error) {
	options, err := redis.ParseClusterURL(u.String())
	if err != nil {
		return nil, err
	}
	tune(timeouts{&options.DialTimeout, &options.ReadTimeout, &options.WriteTimeout}, &options.DialerRetries)
	options.ContextTimeoutEnabled = true
	options.MaintNotificationsConfig = noMaintenance()
	return redis.NewClusterClient(options), nil
}

func connectSentinel(u *url.URL, scheme string) (redis.UniversalClient, error) {
	plain := *u
	plain.Scheme = scheme
	options, err := redis.ParseFailoverURL(plain.String())
	if err != nil {
		return nil, err
	}
	if options.MasterName == "" {
		return nil, errors.New("want the parameter master_name, as in redis-sentinel://host:26379/0?master_name=mymaster")
	}
	tune(timeouts{&options.DialTimeout, &options.ReadTimeout, &options.WriteTimeout}, &options.DialerRetries)
	options.ContextTimeoutEnabled = true
	return redis.NewFailoverClient(options), nil
}

type timeouts struct{ dial, read, write *time.Duration }

// tune fills in what the URL left out. A failed dial is not repeated below our
// own retries.
func tune(t timeouts, dialerRetries *int) {
	setDefault(t.dial, dialTimeout)
	setDefault(t.read, ioTimeout)
	setDefault(t.write, ioTimeout)
	setDefault(dialerRetries, 1)
}

func setDefault[T comparable](value *T, fallback T) {
	var zero T
	if *value == zero {
		*value = fallback
	}
}

// noMaintenance switches off a handshake that only Redis' own cloud answers.
func noMaintenance() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// explain drops from an error of go-redis or net/url what may be a secret: only
// messages known to quote harmless parts pass.
func explain(err error) error {
	message := err.Error()
	if strings.HasPrefix(message, "redis: unable to parse addr param") {
		return errors.New("want host:port as addr parameter, without a password")
	}
	for _, harmless := range []string{
		"want ", "redis: invalid database number", "redis: unexpected option", "redis: invalid ",
	} {
		if strings.HasPrefix(message, harmless) {
			return err
		}
	}
	return errors.New("the URL is not understood")
}

// RedirectLog makes go-redis tell report what it otherwise writes to standard
// error, such as one line for each failed dial. It holds for the whole process:
// call it once, before Connect.
func RedirectLog(report func(message string)) { redis.SetLogger(redirected(report)) }

type redirected func(message string)

// Printf has the signature that go-redis asks for.
func (r redirected) Printf(_ context.Context, format string, args ...any) {
	r(fmt.Sprintf(format, args...))
}
