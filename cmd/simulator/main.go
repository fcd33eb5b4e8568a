// Command simulator is a model provider to test against: it speaks the
// wire formats of OpenAI, Anthropic and Gemini and can be as slow and as broken as it is told to be. GET and
// PUT /faults read and set that while it runs, GET /calls lists what it got.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/penstock-dev/penstock/providers/simulated"
)

// Exit codes.
const (
	exitClean         = 0
	exitRuntime       = 1
	exitConfiguration = 2
)

// stopTime is how long answers under way get to end after a signal.
const stopTime = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run serves until ctx ends and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("simulator", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:9090", "`address` to listen on; port 0 picks a free one")
	seed := flags.Uint64("seed", 0, "what every draw hangs on")
	config := flags.String("config", "", "`file` of faults, JSON as PUT /faults takes it")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitClean
	case err != nil:
		return exitConfiguration
	case flags.NArg() > 0:
		_, _ = fmt.Fprintf(stderr, "simulator: unexpected argument %q\n", flags.Arg(0))
		return exitConfiguration
	}
	server, err := newServer(*seed, *config)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "simulator:", err)
		return exitConfiguration
	}
	if err := serve(ctx, server, *addr, stdout); err != nil {
		_, _ = fmt.Fprintln(stderr, "simulator:", err)
		return exitRuntime
	}
	return exitClean
}

func newServer(seed uint64, file string) (*simulated.Server, error) {
	config := simulated.Config{Seed: seed}
	if file != "" {
		in, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("-config: %w", err)
		}
		defer func() { _ = in.Close() }()
		faults, err := simulated.ParseFaults(in)
		if err != nil {
			return nil, fmt.Errorf("-config %s: %w", file, err)
		}
		config.Faults = &faults
	}
	return simulated.New(config)
}

// serve prints where it listens once it does, and stops when ctx ends: no new
// calls, a while for those under way, then an end to what still hangs.
func serve(ctx context.Context, simulator *simulated.Server, addr string, stdout io.Writer) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: simulator, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	_, _ = fmt.Fprintf(stdout, "simulator: listening on http://%s/v1\n", listener.Addr())

	select {
	case err := <-served:
		_ = simulator.Close()
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if server.Shutdown(stopping) != nil {
		_ = simulator.Close()
		_ = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return simulator.Close()
}
