package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/google/uuid"
)

// childPath tells the test binary, run again as a child, which file to use.
const childPath = "PENSTOCK_SQLITE_TEST_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		os.Exit(submitUntilKilled(path))
	}
	os.Exit(m.Run())
}

// submitUntilKilled submits from many goroutines and says which jobs the store
// has accepted.
func submitUntilKilled(path string) int {
	ctx := context.Background()
	s, err := Open(ctx, Config{Path: path})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var submitters sync.WaitGroup
	var out sync.Mutex
	for range 8 {
		submitters.Go(func() {
			for {
				got, err := s.Submit(ctx, newSubmission())
				if err != nil {
					return
				}
				out.Lock()
				fmt.Println(got.Job.ID)
				out.Unlock()
			}
		})
	}
	submitters.Wait()
	return 0
}

// Invariant 1: accepted means kept, whatever kills the process.
//
// It is not parallel to others: until it has become another program the child has copies
// of all open files, and with them the locks of other tests' stores.
func TestWhatWasAcceptedIsThereAfterAKill(t *testing.T) {
	c := Config{Path: newPath(t)}
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childPath+"="+c.Path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var accepted []uuid.UUID
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		id, err := uuid.Parse(lines.Text())
		if err != nil {
			continue // the last line may be cut
		}
		if accepted = append(accepted, id); len(accepted) == 300 {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait() // killed
	if len(accepted) < 300 {
		t.Fatalf("the child ended by itself, after %d jobs", len(accepted))
	}
	s := openStore(t, c)
	for _, id := range accepted {
		if _, err := s.Job(t.Context(), "acme", id); err != nil {
			t.Fatalf("accepted job %s: %v", id, err)
		}
	}
}
