// Command demo shows Penstock at work: it starts the whole system in this
// process, submits the prompts of examples/prompts.jsonl through the public
// API, collects the answers by polling, is told of them by webhook as well, and
// prints what became of them. Then it runs a batch of 500, some of whose calls fail,
// and stays up to be tried by hand, or with -once exits: 0 only if all succeeded.
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
	"path/filepath"
	"syscall"
	"time"

	"github.com/penstock-dev/penstock/examples"
	"github.com/penstock-dev/penstock/internal/app"
)

func main() {
	once := flag.Bool("once", false, "exit when the prompts are answered; 0 only if all succeeded")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *once, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, once bool, out io.Writer) error {
	getenv, cleanUp, err := environment(ctx, once)
	if err != nil {
		return err
	}
	defer cleanUp()
	system, err := app.Start(ctx, app.RoleEmbedded, getenv, os.Stderr)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	return errors.Join(show(ctx, "http://"+system.Addr(), once, out), system.Stop())
}

// environment is the process' own, with a quieter log, a free port where the
// usual one is taken, and, for -once, a folder that goes away.
func environment(ctx context.Context, once bool) (getenv func(string) string, cleanUp func(), err error) {
	vars := map[string]string{"PENSTOCK_LOG": "console,warn"}
	if l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:8080"); err != nil {
		vars["PENSTOCK_ADDR"] = "127.0.0.1:0"
	} else {
		l.Close()
	}
	dir, err := os.MkdirTemp("", "penstock-demo-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a folder for the demo: %w", err)
	}
	cleanUp = func() { os.RemoveAll(dir) }
	if once {
		vars["PENSTOCK_DATA_DIR"] = dir
	}
	if vars["PENSTOCK_CONFIG"], err = configure(dir); err != nil {
		cleanUp()
		return nil, nil, err
	}
	return func(name string) string {
		if v := os.Getenv(name); v != "" {
			return v
		}
		return vars[name]
	}, cleanUp, nil
}

// configure writes a configuration with a provider that fails now and then.
func configure(dir string) (path string, err error) {
	path, faults := filepath.Join(dir, "penstock.yaml"), filepath.Join(dir, "faults.json")
	err = errors.Join(os.WriteFile(faults, []byte(flakyFaults), 0o600), os.WriteFile(path, fmt.Appendf(nil, flaky, faults), 0o600))
	if err != nil {
		return "", fmt.Errorf("write the configuration of the demo: %w", err)
	}
	return path, nil
}

// batchModel is the model of the batch: that which fails now and then, unless the
// configuration is the caller's own.
func batchModel() string {
	if os.Getenv("PENSTOCK_CONFIG") != "" {
		return "default"
	}
	return "flaky"
}

// show has the prompts answered. Without once it returns when ctx ends.
func show(ctx context.Context, base string, once bool, out io.Writer) error {
	lines, err := readLines(examples.Prompts())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Penstock runs in this process: SQLite, Redis and a simulated provider. API: %s\n", base)
	c := &client{base: base, http: &http.Client{Timeout: time.Minute}}
	hooks, err := listen(ctx, c)
	if err != nil {
		return err
	}
	defer hooks.close()
	jobs, err := answerAll(ctx, c, lines, out)
	if err != nil {
		return err
	}
	printTable(out, jobs)
	if err := hooks.tell(ctx, jobs, out); err != nil {
		return err
	}
	if err := answerBatch(ctx, base, batchModel(), out); err != nil {
		return err
	}
	if !once {
		fmt.Fprintf(out, next, base, jobs[0].ID)
		hooks.announce(out)
		<-ctx.Done()
		return nil
	}
	for _, j := range jobs {
		if j.Status != "succeeded" {
			return errors.New("not every job succeeded")
		}
	}
	return nil
}

// next tells what to type; %[1]s is the base URL, %[2]s a job's id.
const next = `
The API listens on %[1]s. Type next, in another terminal:

  curl -s %[1]s/v1/jobs/%[2]s                        # one of the answers
  curl -s %[1]s/v1/jobs?limit=3                      # the newest jobs
  curl -s %[1]s/v1/jobs -H 'Content-Type: application/json' -H 'Prefer: wait=10' \
    -d '{"request": {"model": "default", "messages": [{"role": "user", "content": "Hello!"}]}}'
  curl -s %[1]s/metrics                              # for Prometheus

What ends from now on is told by webhook, below. Ctrl-C stops it.

`

const pollEvery = 100 * time.Millisecond

// answerAll submits every line, then polls until each job has ended.
func answerAll(ctx context.Context, c *client, lines []line, out io.Writer) ([]job, error) {
	started := time.Now()
	jobs := make([]job, len(lines))
	finished := 0
	told := time.Time{}
	progress := func(submitted int) {
		if time.Since(told) < pollEvery && finished < len(jobs) {
			return
		}
		told = time.Now()
		fmt.Fprintf(out, "\rsubmitted %d/%d, finished %d/%d, %.1f s ", submitted, len(lines), finished, len(lines),
			time.Since(started).Seconds())
	}
	for i, l := range lines {
		var err error
		if jobs[i], err = c.submit(ctx, l); err != nil {
			return nil, err
		}
		progress(i + 1)
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for finished < len(jobs) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
		finished = 0
		for i := range jobs {
			if !jobs[i].done() {
				var err error
				if jobs[i], err = c.job(ctx, jobs[i].ID); err != nil {
					return nil, err
				}
			}
			if jobs[i].done() {
				finished++
			}
		}
		progress(len(jobs))
	}
	fmt.Fprintln(out)
	return jobs, nil
}
