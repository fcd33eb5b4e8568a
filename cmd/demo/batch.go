package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	penstock "github.com/penstock-dev/penstock/client"
)

const (
	batchLines = 500
	// flaky is a route whose provider fails one call in twenty.
	flaky = `
providers:
  sim:   {type: simulated}
  flaky: {type: simulated, faults: %s, models: [flaky-1]}
routes:
  default: {targets: [sim/sim-1]}
  flaky:   {targets: [flaky/flaky-1]}
`
	flakyFaults = `{"latency": "150ms", "sigma": 0.5, "per_token": "3ms", "errors": {"server_error": 0.05}}`
)

// answerBatch has a batch of questions answered, some of which fail at first, and shows how
// far it is.
func answerBatch(ctx context.Context, base, model string, out io.Writer) error {
	c, err := penstock.New(base)
	if err != nil {
		return err
	}
	b, err := c.SubmitBatch(ctx, penstock.NewBatch{Stream: func(yield func(penstock.BatchRequest, error) bool) {
		for i := range batchLines {
			prompt := map[string]string{"role": "user", "content": fmt.Sprintf("Name a river, other than the last %d.", i)}
			if !yield(penstock.BatchRequest{
				CustomID: fmt.Sprintf("river-%d", i), Request: map[string]any{"model": model, "max_tokens": 64, "messages": []any{prompt}},
			}, nil) {
				return
			}
		}
	}})
	if err != nil {
		return fmt.Errorf("submit a batch: %w", err)
	}
	bar := progress{out: out, live: isTerminal(out)}
	if b, err = c.WaitBatch(ctx, b.ID, bar.show); err != nil {
		return fmt.Errorf("wait for a batch: %w", err)
	}
	bar.end(b)
	if b.Status != penstock.BatchCompleted || b.Counts.Succeeded != batchLines {
		return fmt.Errorf("the batch is %s: %d of %d lines succeeded", b.Status, b.Counts.Succeeded, batchLines)
	}
	return nil
}

// progress shows how far a batch is: on a terminal by one line that is drawn anew, else by
// a line every few seconds.
type progress struct {
	out  io.Writer
	live bool
	told time.Time
}

const barWidth = 30

func (p *progress) show(b penstock.Batch) {
	if !p.live && time.Since(p.told) < 3*time.Second && !b.Status.Ended() {
		return
	}
	p.told = time.Now()
	done := 0
	if b.Counts.Total > 0 {
		done = barWidth * b.Counts.Ended() / b.Counts.Total
	}
	text := fmt.Sprintf("batch %-11s [%s%s] %d/%d, %d failed, %.0f lines/s", b.Status, strings.Repeat("#", done),
		strings.Repeat(".", barWidth-done), b.Counts.Ended(), b.Counts.Total, b.Counts.Failed, b.LinesPerSecond)
	if left := time.Until(b.ETA); !b.ETA.IsZero() && left > 0 {
		text += fmt.Sprintf(", %s left", left.Round(time.Second))
	}
	if p.live {
		fmt.Fprintf(p.out, "\r%-100s", text)
	} else {
		fmt.Fprintln(p.out, text)
	}
}

// end says what came of the batch.
func (p *progress) end(b penstock.Batch) {
	if p.live {
		fmt.Fprintln(p.out)
	}
	fmt.Fprintf(p.out, "batch: %d of %d answered in %s; results: GET /v1/job-batches/%s/results\n", b.Counts.Succeeded, b.Counts.Total,
		b.EndedAt.Sub(b.CreatedAt).Round(100*time.Millisecond), b.ID)
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
