// Package embedredis is a Redis inside this process, for the embedded mode and
// for simulations: nothing listens, nothing is kept on disk, and it works in a
// testing/synctest bubble.
//
// It is slower than Redis, some thousand tasks a second, and not Redis: what
// touches Lua or timing is also tested on a real server.
package embedredis

import (
	"context"
	"net"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Server is a running Redis. It is empty when made and its contents are gone
// when it is closed.
type Server struct {
	redis  *miniredis.Miniredis
	client *redis.Client
}

// Start returns a server with a client connected to it. Close it. In a
// synctest bubble, call Start and Close in the bubble.
func Start() *Server {
	s := &Server{redis: miniredis.NewMiniRedis()}
	s.redis.ClockTTL(true)
	s.client = redis.NewClient(&redis.Options{
		// An address that needs no look-up; it is never dialled.
		Addr:                  "127.0.0.1:6379",
		Dialer:                s.dial,
		ContextTimeoutEnabled: true,
		DialerRetries:         1,
		// This Redis serves everyone under one lock: give a busy process time.
		ReadTimeout: 10 * time.Second,
		// Who waits for a connection does so by a timer that is shared over all
		// clients of the process, and so over bubbles, which panics: nobody waits.
		PoolSize: 4096,
		// Unlike a real one this Redis does not know the handshakes behind these.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	return s
}

// Client returns the server's client. It is closed with the server.
func (s *Server) Client() redis.UniversalClient { return s.client }

func (s *Server) dial(context.Context, string, string) (net.Conn, error) {
	pipe, err := s.redis.Dial()
	if err != nil {
		return nil, err
	}
	return newConn(pipe), nil
}

// Close ends the client and then the server.
func (s *Server) Close() error {
	err := s.client.Close()
	s.redis.Close()
	return err
}
