package group_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/penstock-dev/penstock/storage/group"
)

func TestAMemberThatPanicsFailsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := recorder{fail: func(items []int) error {
			if slices.Contains(items, 3) {
				panic("a secret")
			}
			return nil
		}}
		g := group.New(group.Config{}, r.commit)
		for i, err := range doAll(t, g, 1, 2, 3, 4) {
			panicked, ok := errors.AsType[*group.PanicError](err)
			if ok != (i == 2) || !ok && err != nil {
				t.Fatalf("member %d: got error %v, want a panic's of the third alone", i, err)
			}
			if ok && (panicked.Value != "a secret" || len(panicked.Stack) == 0 || strings.Contains(err.Error(), "secret")) {
				t.Errorf("got %+v, want the value and the stack, and a message without the value", panicked)
			}
		}
		g.Close()
	})
}

// Of those that wait for long in a transaction two are borne with, so that one
// harms nobody and many do not add up.
func TestBlockedMembersDoNotAddUp(t *testing.T) {
	t.Parallel()
	errBlocked := errors.New("blocked")
	blocked := func(err error) bool { return errors.Is(err, errBlocked) }
	for _, test := range []struct {
		name    string
		items   []int
		fine    []int
		batches [][]int
	}{
		{"one", []int{1, 100, 2, 3}, []int{1, 2, 3}, [][]int{{1}, {2, 3, 100}, {100}, {2}, {3}}},
		{"two", []int{1, 100, 2, 101, 3, 102}, []int{1, 2}, [][]int{{1}, {2, 3, 100, 101, 102}, {100}, {2}, {101}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := recorder{fail: func(items []int) error {
					if slices.Max(items) >= 100 {
						return errBlocked
					}
					return nil
				}}
				g := group.New(group.Config{Blocked: blocked}, r.commit)
				for i, err := range doAll(t, g, test.items...) {
					if fine := slices.Contains(test.fine, test.items[i]); fine != (err == nil) || !fine && !blocked(err) {
						t.Errorf("Do(%d): got error %v, fine: %v", test.items[i], err, fine)
					}
				}
				r.wrote(t, test.batches...)
			})
		})
	}
}

// Callers that have gone take nobody's place: else those that come while the
// database hangs would pile up.
func TestCallersThatHaveGoneTakeNoPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		g := group.New(group.Config{MaxBatch: 2}, r.commit)
		var callers sync.WaitGroup
		for n := range 9 {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			callers.Go(func() { _, _ = g.Do(ctx, n) })
			synctest.Wait()
			if n%4 != 0 {
				cancel()
			}
		}
		callers.Wait()
		g.Close()
		r.wrote(t, []int{0}, []int{4, 8})
	})
}

// Nor is a caller waited for that went while its batch was being broken up.
func TestCallersThatHaveGoneAreNotTriedAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := recorder{fail: func(items []int) error {
			if len(items) > 1 {
				cancel()
				return errors.New("broken")
			}
			return nil
		}}
		g := group.New(group.Config{}, r.commit)
		var callers sync.WaitGroup
		for n := range 4 {
			callers.Go(func() {
				if n == 2 {
					_, _ = g.Do(ctx, n)
					return
				}
				_, _ = g.Do(t.Context(), n) //nolint:contextcheck // they stay when the other goes
			})
			synctest.Wait()
		}
		callers.Wait()
		g.Close()
		r.wrote(t, []int{0}, []int{1, 2, 3}, []int{1}, []int{3})
	})
}
