// Command webhook-receiver takes what Penstock sends to a webhook endpoint, verifies
// it and prints a line for each event: its webhook-id, its type, and the job's id and
// status.
//
//	PENSTOCK_WEBHOOK_SECRET=whsec_… go run ./examples/webhook-receiver
//
// It is an example to copy from: receiver.go is what an application needs. The same
// for Node and Python is beside it.
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
	"strings"
	"syscall"
	"time"

	"github.com/penstock-dev/penstock/webhooks"
)

// Exit codes.
const (
	exitClean         = 0
	exitRuntime       = 1
	exitConfiguration = 2
)

// stopTime is how long requests under way get to end after a signal.
const stopTime = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Getenv("PENSTOCK_WEBHOOK_SECRET"), os.Stdout, os.Stderr))
}

// run receives until ctx ends and returns the exit code.
func run(ctx context.Context, args []string, secrets string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("webhook-receiver", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:8090", "`address` to listen on; port 0 picks a free one")
	remember := flags.Int("remember", 10_000, "how many `ids` are remembered, so that repeats are dropped")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitClean
	case err != nil:
		return exitConfiguration
	}
	keys, err := parseKeys(secrets)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "webhook-receiver:", err)
		return exitConfiguration
	}
	if err := serve(ctx, *addr, newReceiver(keys, *remember, stdout), stdout); err != nil {
		_, _ = fmt.Fprintln(stderr, "webhook-receiver:", err)
		return exitRuntime
	}
	return exitClean
}

// parseKeys reads keys separated by spaces: the old and the new one while an
// endpoint's secret is being rotated.
func parseKeys(text string) ([]webhooks.Key, error) {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return nil, errors.New("no key: put the endpoint's whsec_… or whpk_… into PENSTOCK_WEBHOOK_SECRET")
	}
	keys := make([]webhooks.Key, 0, len(fields))
	for _, field := range fields {
		if strings.HasPrefix(field, "whsk_") {
			return nil, errors.New("a private key, whsk_…, is for who sends; here it is the public one, whpk_…")
		}
		key, err := webhooks.ParseKey(field)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// serve prints where it listens once it does, and stops when ctx ends.
func serve(ctx context.Context, addr string, handler http.Handler, stdout io.Writer) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{
		Handler: handler, ReadTimeout: 15 * time.Second, WriteTimeout: 15 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	_, _ = fmt.Fprintf(stdout, "listening on http://%s/\n", listener.Addr())

	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if server.Shutdown(stopping) != nil {
		_ = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
