// Package app joins the parts of Penstock into a process: it reads the
// configuration, builds the parts, starts them and stops them in order. Tests
// build the same way.
package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/internal/httpapi"
)

// App is a running process of Penstock.
type App struct {
	addr   string
	cancel context.CancelFunc
	done   chan struct{}
	err    error
	reload func() (httpapi.Reloaded, error)
}

// Start reads the configuration, builds a process of the given role and starts
// it. It runs until ctx ends, Stop is called, or a part fails. Log lines go to
// logTo. A wrong configuration is a [*ConfigError].
func Start(ctx context.Context, role Role, getenv func(string) string, logTo io.Writer) (*App, error) {
	c, err := LoadConfig(role, getenv)
	if err != nil {
		return nil, err
	}
	return start(ctx, c, newLogger(c, logTo), listenTCP)
}

// listener makes the process' one listener.
type listener func(ctx context.Context, addr string) (net.Listener, error)

func listenTCP(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", addr)
}

func start(ctx context.Context, c Config, log zerolog.Logger, listen listener) (*App, error) {
	addr, key := c.Addr, "PENSTOCK_ADDR"
	if !c.Role.serves() {
		addr, key = c.WorkerAddr, "PENSTOCK_WORKER_ADDR"
	}
	// Listening comes first: of two processes started by mistake, the second
	// must fail before it touches anything.
	l, err := listen(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot listen: %w", key, err)
	}
	if c.LocalSecrets, err = localSecrets(c); err != nil {
		l.Close()
		return nil, err
	}
	p, err := build(ctx, c, log)
	if err != nil {
		l.Close()
		return nil, err
	}
	c.tellWebhooks(log)
	ctx, cancel := context.WithCancel(ctx)
	a := &App{addr: l.Addr().String(), cancel: cancel, done: make(chan struct{}), reload: p.reloader.reload}
	log.Info().Str("role", string(c.Role)).Str("addr", a.addr).Str("version", buildVersion()).Msg("started")
	go func() {
		defer close(a.done)
		defer cancel()
		a.err = runStages(ctx, p.stages(l)...)
		p.close()
		log.Info().AnErr("cause", a.err).Msg("stopped")
	}()
	return a, nil
}

// Addr is where the process listens.
func (a *App) Addr() string { return a.addr }

// Wait returns when the process has stopped: nil if it was told to.
func (a *App) Wait() error {
	<-a.done
	return a.err
}

// ReloadOn reads the configuration file again whenever a signal comes, until
// the process has stopped. What comes of it is logged.
func (a *App) ReloadOn(signals <-chan os.Signal) {
	for {
		select {
		case <-signals:
			_, _ = a.reload()
		case <-a.done:
			return
		}
	}
}

// Stop stops the process in good order and waits for it.
func (a *App) Stop() error {
	a.cancel()
	return a.Wait()
}
