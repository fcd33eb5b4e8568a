package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/penstock-dev/penstock/storage"
)

// Exit codes of a process.
const (
	exitClean   = 0
	exitRuntime = 1
	exitConfig  = 2
)

// Main runs a process of the given role until SIGTERM or SIGINT, then stops it
// in good order; a second signal ends it at once. SIGHUP reads the configuration
// file again. It returns the exit code: 0
// clean, 1 a failure while running, 2 a wrong configuration, which is told in
// one line.
func Main(role Role, args []string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go stopOnSignal(cancel)
	return runMain(ctx, role, args, os.Getenv, os.Stdout, os.Stderr)
}

// stopOnSignal ends with the process.
func stopOnSignal(stop context.CancelFunc) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	<-signals
	fmt.Fprintln(os.Stderr, "stopping when calls under way have ended; a second signal leaves at once")
	stop()
	<-signals
	fmt.Fprintln(os.Stderr, "second signal: leaving at once")
	os.Exit(exitRuntime)
}

func runMain(ctx context.Context, role Role, args []string, getenv func(string) string, out, errs io.Writer) int {
	flags := flag.NewFlagSet(string(role), flag.ContinueOnError)
	flags.SetOutput(errs)
	migrate := flags.Bool("migrate", false, "bring the store's schema up to date and exit")
	version := flags.Bool("version", false, "print the version and exit")
	erase := ""
	if role == RoleAPI {
		flags.Func("erase-tenant", "make unreadable all that is sealed for this `tenant` and exit", func(tenant string) error {
			if erase = tenant; tenant == "" {
				return errors.New("expected the name of a tenant")
			}
			return nil
		})
		flags.BoolFunc("embedded", "run everything in this process: API, worker, SQLite, Redis", func(string) error {
			role = RoleEmbedded
			return nil
		})
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitClean
	case err != nil:
		return exitConfig
	case flags.NArg() > 0:
		fmt.Fprintf(errs, "unexpected argument %q: everything but flags is configured by environment and file\n", flags.Arg(0))
		return exitConfig
	case *version:
		fmt.Fprintln(out, buildVersion())
		return exitClean
	}
	if *migrate {
		return exitCode(errs, migrateStore(ctx, role, getenv))
	}
	if erase != "" {
		return exitCode(errs, eraseTenant(ctx, role, getenv, erase, out))
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // before the start: until then it would end the process
	defer signal.Stop(hangups)
	a, err := Start(ctx, role, getenv, errs)
	if err != nil {
		return exitCode(errs, err)
	}
	go a.ReloadOn(hangups)
	return exitCode(errs, a.Wait())
}

func migrateStore(ctx context.Context, role Role, getenv func(string) string) error {
	c := fromEnvironment(role, getenv)
	if err := c.checkDatabase(); err != nil {
		return err
	}
	return storage.Migrate(ctx, c.DatabaseURL)
}

// exitCode tells what went wrong in one line and returns the code for it.
func exitCode(errs io.Writer, err error) int {
	if err == nil {
		return exitClean
	}
	fmt.Fprintln(errs, "penstock:", err)
	if _, ok := errors.AsType[*ConfigError](err); ok {
		return exitConfig
	}
	return exitRuntime
}

func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version + " " + info.GoVersion
	}
	return "unknown"
}

// release returns the version as others are told it: a token of RFC 9110, without that
// of Go.
func release() string {
	version, _, _ := strings.Cut(buildVersion(), " ")
	return strings.Trim(version, "()")
}
