package group_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/storage/group"
)

// recorder commits batches of numbers: each takes a second, and its result is
// twice the number. A negative number fails by itself.
type recorder struct {
	mu      sync.Mutex
	batches [][]int
	// fail breaks a whole batch, if it returns an error.
	fail func(items []int) error
}

var errNegative = errors.New("negative")

func (r *recorder) commit(_ context.Context, items []int) ([]group.Result[int], error) {
	time.Sleep(time.Second) // in a bubble
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches = append(r.batches, slices.Sorted(slices.Values(items)))
	if r.fail != nil {
		if err := r.fail(items); err != nil {
			return nil, err
		}
	}
	results := make([]group.Result[int], len(items))
	for i, n := range items {
		results[i].Value = 2 * n
		if n < 0 {
			results[i].Err = errNegative
		}
	}
	return results, nil
}

func (r *recorder) wrote(t *testing.T, want ...[]int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if fmt.Sprint(r.batches) != fmt.Sprint(want) {
		t.Fatalf("batches: got %v, want %v", r.batches, want)
	}
}

// doAll writes items at once, the first alone if lead, and returns the errors.
func doAll(t *testing.T, g *group.Group[int, int], items ...int) []error {
	t.Helper()
	errs := make([]error, len(items))
	var callers sync.WaitGroup
	for i, n := range items {
		callers.Go(func() {
			got, err := g.Do(t.Context(), n)
			errs[i] = err
			if err == nil && got != 2*n {
				t.Errorf("Do(%d): got %d, want %d", n, got, 2*n)
			}
		})
		synctest.Wait() // each is in the queue before the next
	}
	callers.Wait()
	return errs
}

func TestCoalescesWhatComesMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		g := group.New(group.Config{}, r.commit)
		for _, err := range doAll(t, g, 1, 2, 3, 4) {
			if err != nil {
				t.Fatal(err)
			}
		}
		r.wrote(t, []int{1}, []int{2, 3, 4})
	})
}

func TestAnswersNobodyBeforeItsOwnIsDurable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		g := group.New(group.Config{}, r.commit)
		start := time.Now()
		answered := make([]time.Duration, 3)
		var callers sync.WaitGroup
		for i := range answered {
			callers.Go(func() {
				_, _ = g.Do(t.Context(), i)
				answered[i] = time.Since(start)
			})
			synctest.Wait()
		}
		callers.Wait()
		if want := []time.Duration{time.Second, 2 * time.Second, 2 * time.Second}; !slices.Equal(answered, want) {
			t.Fatalf("answered after: got %v, want %v", answered, want)
		}
	})
}

func TestBatchesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		g := group.New(group.Config{MaxBatch: 2}, r.commit)
		doAll(t, g, 1, 2, 3, 4, 5, 6)
		r.wrote(t, []int{1}, []int{2, 3}, []int{4, 5}, []int{6})
	})
}

func TestCommittersWorkAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		g := group.New(group.Config{Committers: 2}, r.commit)
		start := time.Now()
		doAll(t, g, 1, 2)
		if took := time.Since(start); took != time.Second {
			t.Fatalf("two committers took %v, want 1s", took)
		}
	})
}

func TestABadMemberFailsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		g := group.New(group.Config{}, r.commit)
		errs := doAll(t, g, 1, 2, -3, 4)
		for i, err := range errs {
			if i == 2 && !errors.Is(err, errNegative) || i != 2 && err != nil {
				t.Fatalf("errors: got %v, want only the third", errs)
			}
		}
		r.wrote(t, []int{1}, []int{-3, 2, 4})
	})
}

func TestAMemberThatBreaksTheBatchFailsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		errBroken := errors.New("broken")
		r := recorder{fail: func(items []int) error {
			if slices.Contains(items, 3) {
				return errBroken
			}
			return nil
		}}
		g := group.New(group.Config{}, r.commit)
		errs := doAll(t, g, 1, 2, 3, 4)
		for i, err := range errs {
			if i == 2 && !errors.Is(err, errBroken) || i != 2 && err != nil {
				t.Fatalf("errors: got %v, want only the third", errs)
			}
		}
		r.wrote(t, []int{1}, []int{2, 3, 4}, []int{2}, []int{3}, []int{4})
	})
}

func TestAnUnreachableDatabaseFailsAllAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		errDown := errors.New("down")
		r := recorder{fail: func([]int) error { return errDown }}
		g := group.New(group.Config{Down: func(err error) bool { return errors.Is(err, errDown) }}, r.commit)
		for _, err := range doAll(t, g, 1, 2, 3, 4) {
			if !errors.Is(err, errDown) {
				t.Fatalf("got error %v, want %v", err, errDown)
			}
		}
		r.wrote(t, []int{1}, []int{2, 3, 4})
	})
}

func TestADatabaseThatGoesAwayMeanwhileFailsTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		errBroken, errDown := errors.New("broken"), errors.New("down")
		r := recorder{fail: func(items []int) error {
			if len(items) > 1 {
				return errBroken
			}
			if items[0] == 3 {
				return errDown
			}
			return nil
		}}
		g := group.New(group.Config{Down: func(err error) bool { return errors.Is(err, errDown) }}, r.commit)
		errs := doAll(t, g, 1, 2, 3, 4, 5)
		for i, err := range errs {
			if i < 2 && err != nil || i >= 2 && !errors.Is(err, errDown) {
				t.Fatalf("errors: got %v, want %v from the third on", errs, errDown)
			}
		}
		r.wrote(t, []int{1}, []int{2, 3, 4, 5}, []int{2}, []int{3})
	})
}

func TestACallerThatGoesStopsWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		g := group.New(group.Config{}, r.commit)
		var callers sync.WaitGroup
		for n := 1; n <= 3; n++ {
			ctx, cancel := context.WithCancel(t.Context())
			callers.Go(func() {
				_, err := g.Do(ctx, n)
				if gone := n <= 2; gone != errors.Is(err, context.Canceled) {
					t.Errorf("Do(%d): got error %v, gone: %v", n, err, gone)
				}
			})
			synctest.Wait()
			if n <= 2 {
				cancel()
			} else {
				defer cancel()
			}
		}
		callers.Wait()
		g.Close()
		// The first was being written when its caller went; the second was not.
		r.wrote(t, []int{1}, []int{3})
	})
}

func TestCloseAnswersWhoWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		g := group.New(group.Config{}, r.commit)
		var callers sync.WaitGroup
		for n := range 3 {
			callers.Go(func() {
				if _, err := g.Do(t.Context(), n); err != nil {
					t.Errorf("Do(%d) before Close: %v", n, err)
				}
			})
		}
		synctest.Wait()
		g.Close()
		r.mu.Lock()
		if written := slices.Concat(r.batches...); len(written) != 3 {
			t.Errorf("written when Close returned: got %v, want all three", written)
		}
		r.mu.Unlock()
		callers.Wait()
		g.Close()
		if _, err := g.Do(t.Context(), 9); !errors.Is(err, group.ErrClosed) {
			t.Fatalf("Do after Close: got error %v, want %v", err, group.ErrClosed)
		}
	})
}

func TestManyCallers(t *testing.T) {
	t.Parallel()
	sum := 0
	g := group.New(group.Config{MaxBatch: 16}, func(_ context.Context, items []int) ([]group.Result[int], error) {
		results := make([]group.Result[int], len(items))
		for i, n := range items {
			sum += n // one committer: no lock needed
			results[i].Value = n
		}
		return results, nil
	})
	var callers sync.WaitGroup
	for i := range 64 {
		callers.Go(func() {
			for range 100 {
				if got, err := g.Do(t.Context(), i); got != i || err != nil {
					t.Errorf("Do(%d): got %d, %v", i, got, err)
				}
			}
		})
	}
	callers.Wait()
	g.Close()
	if want := 100 * 64 * 63 / 2; sum != want {
		t.Fatalf("sum: got %d, want %d", sum, want)
	}
}

func ExampleGroup() {
	g := group.New(group.Config{}, func(_ context.Context, words []string) ([]group.Result[int], error) {
		results := make([]group.Result[int], len(words))
		for i, word := range words {
			results[i].Value = len(word)
		}
		return results, nil
	})
	defer g.Close()
	fmt.Println(g.Do(context.Background(), "penstock"))
	// Output: 8 <nil>
}
