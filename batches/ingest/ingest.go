package ingest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

const (
	// pageLines and pageBytes are when a page is full; its last line may be longer.
	pageLines = 2000
	pageBytes = 1 << 20
	// share is how many lines are checked between two chances for others to run.
	share = 8
)

// Config says what is read, and how it is checked. Batch, Input and Check are required.
type Config struct {
	Batch batches.Batch
	// Input is the file from Batch.Read on.
	Input io.Reader
	// Check says what is wrong with the request of a line, and returns its hash: that is
	// [jobs.Service.Check].
	Check func(jobs.NewJob) ([32]byte, error)
	// Enter waits until lines may be checked, which takes a processor, and returns what is
	// called when they have been. Nothing is read meanwhile. nil: they may be at any time.
	Enter func() (leave func(), err error)
	// Panicked is told of a panic in Check. It is a [batches.Problem] of the line.
	Panicked func(value any, stack []byte)
}

// Ingest reads one input. It is for one goroutine.
type Ingest struct {
	reader  *reader
	checker checker
	enter   func() (leave func(), err error)
	// ids is on which line a custom id is, by part of its SHA-256; hashes are those of
	// the requests so far.
	ids    map[[16]byte]int
	hashes map[[32]byte]struct{}

	problems []batches.Problem
	count    int
	// over is what Next returns from now on.
	over error

	lines []raw
	text  []byte
}

// Page is lines that follow each other. Once anything is wrong with the input pages have
// no lines any more.
type Page struct {
	// From is before the first, To behind the last.
	From, To batches.Cursor
	Lines    []batches.Line
}

// New returns the reading of an input. Lines that were kept before must be made known to
// it with [Ingest.Keep] first.
func New(cfg Config) *Ingest {
	if cfg.Panicked == nil {
		cfg.Panicked = func(any, []byte) {}
	}
	if cfg.Enter == nil {
		cfg.Enter = func() (func(), error) { return func() {}, nil }
	}
	return &Ingest{
		reader:  newReader(cfg.Input, cfg.Batch.Read),
		checker: checker{batch: cfg.Batch, request: cfg.Check, panicked: cfg.Panicked},
		enter:   cfg.Enter,
		ids:     make(map[[16]byte]int), hashes: make(map[[32]byte]struct{}),
	}
}

// Keep takes note of lines that were read before.
func (i *Ingest) Keep(lines []batches.Line) {
	for _, l := range lines {
		i.ids[named(l.CustomID)] = l.N
		i.hashes[l.Hash] = struct{}{}
	}
}

// Problems returns what is wrong with what was read so far: the first
// [batches.MaxProblems], and how many there are in all.
func (i *Ingest) Problems() ([]batches.Problem, int) { return i.problems, i.count }

// Next reads and checks the next lines, and returns [io.EOF] when there are no more. Any
// other error is one of reading, or that of Config.Enter, after which there is no more.
func (i *Ingest) Next() (Page, error) {
	page := Page{From: i.reader.at}
	if i.over == nil {
		i.over = i.fill()
	}
	if len(i.lines) == 0 {
		return Page{}, i.end()
	}
	page.To = i.reader.at
	results, err := i.check()
	if err != nil {
		i.over, i.lines = err, nil
		return Page{}, err
	}
	i.forget()
	for n := range results {
		i.judge(&results[n])
	}
	if i.count == 0 {
		page.Lines = make([]batches.Line, len(results))
		for n, r := range results {
			page.Lines[n] = r.line
		}
	}
	return page, nil
}

// fill reads lines until there are enough, and returns why there are no more of them.
func (i *Ingest) fill() error {
	for len(i.lines) < pageLines && len(i.text) < pageBytes {
		l, err := i.reader.line()
		if err != nil {
			return err
		}
		i.text = append(i.text, l.text...)
		l.text = i.text[len(i.text)-len(l.text):]
		i.lines = append(i.lines, l)
	}
	return nil
}

// forget drops the lines that were checked. What long ones took is not kept: others are
// read at the same time.
func (i *Ingest) forget() {
	clear(i.lines)
	i.lines, i.text = i.lines[:0], i.text[:0]
	if cap(i.text) > 2*pageBytes {
		i.text = nil
	}
	if cap(i.reader.long) > 2*pageBytes {
		i.reader.long = nil
	}
}

// end returns why there is no page any more, and says so if something is wrong with that.
func (i *Ingest) end() error {
	switch {
	case errors.Is(i.over, errTooMany):
		i.over = io.EOF
		i.wrong(batches.Problem{
			Code: batches.CodeTooManyLines, Message: fmt.Sprintf("a batch has at most %d lines", batches.MaxLines),
		})
	case errors.Is(i.over, io.EOF) && i.reader.at.Lines == 0 && i.count == 0:
		i.wrong(batches.Problem{Code: batches.CodeEmptyFile, Message: "the file has no line"})
	}
	return i.over
}

type result struct {
	line    batches.Line
	problem *batches.Problem
}

// check checks the lines and returns what came of it, in their order. It takes one
// processor and yields it often: others are for those who wait for an answer.
func (i *Ingest) check() ([]result, error) {
	leave, err := i.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	results := make([]result, len(i.lines))
	for n, l := range i.lines {
		results[n].line, results[n].problem = i.checker.check(l)
		if n%share == 0 {
			runtime.Gosched()
		}
	}
	return results, nil
}

// judge compares a line with those before it, and takes note of it.
func (i *Ingest) judge(r *result) {
	if r.problem != nil {
		i.wrong(*r.problem)
		return
	}
	id := named(r.line.CustomID)
	if before, ok := i.ids[id]; ok {
		i.wrong(batches.Problem{
			Line: r.line.N, Code: batches.CodeDuplicateCustomID, Param: "/custom_id",
			Message: fmt.Sprintf("line %d has the same", before),
		})
		return
	}
	i.ids[id] = r.line.N
	_, r.line.Repeat = i.hashes[r.line.Hash]
	i.hashes[r.line.Hash] = struct{}{}
}

func (i *Ingest) wrong(p batches.Problem) {
	if i.count++; len(i.problems) < batches.MaxProblems {
		i.problems = append(i.problems, p)
	}
}

// named stands for a custom id: two share it with a chance of 2⁻¹²⁸.
func named(customID string) [16]byte {
	sum := sha256.Sum256([]byte(customID))
	return [16]byte(sum[:16])
}
