package sqlite

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// scanned finds the tables that a plan reads from end to end.
var scanned = regexp.MustCompile(`SCAN (\w+)(.*)`)

// small are the tables and indexes that are small whatever was submitted, and
// the results of subqueries.
var small = []string{
	"r", "releases", "g", "backlogs", "workers", "leases", "lane_breakers", "beats", "tenant_keys", "webhook_removals",
	"batch_removals", "sqlite_schema", "schema_version", "step", "first", "m", "CONSTANT",
}

// ofLive finds the indexes that hold only what is under way.
var ofLive = regexp.MustCompile(`queue_settling|batches_live`)

// checkPlans asserts that no statement the store has run reads a table that
// grows from end to end, or sorts more than it returns.
func checkPlans(t *testing.T, s *Store) {
	t.Helper()
	if s.isClosed() {
		return
	}
	for _, q := range []*statements{s.writer, s.reader} {
		for _, text := range slices.Sorted(maps.Keys(q.prepared)) {
			if verb := strings.Fields(text)[0]; verb == "SELECT" || verb == "UPDATE" || verb == "DELETE" || verb == "WITH" {
				checkPlan(t, s, text)
			}
		}
	}
}

func checkPlan(t *testing.T, s *Store, text string) {
	t.Helper()
	plan := planOf(t, s, text, make([]any, 30)...)
	for _, step := range plan {
		match := scanned.FindStringSubmatch(step)
		if match != nil && !slices.Contains(small, match[1]) && !ofLive.MatchString(match[2]) {
			t.Errorf("this statement reads all of %s:\n%s\nplan:\n%s", match[1], text, strings.Join(plan, "\n"))
		}
		if strings.Contains(step, "TEMP B-TREE") && unsorted(text) {
			t.Errorf("this statement sorts what grows:\n%s\nplan:\n%s", text, strings.Join(plan, "\n"))
		}
	}
}

// unsorted reports whether a statement may not sort: it reads the queue, lines other than
// to group them, or deliveries other than to step from one endpoint to the next.
func unsorted(text string) bool {
	return strings.Contains(text, "FROM queue") || strings.Contains(text, "FROM batch") && !strings.Contains(text, "GROUP BY") ||
		strings.Contains(text, "deliveries") && !strings.Contains(text, "step(endpoint)")
}

func planOf(t *testing.T, s *Store, text string, args ...any) []string {
	t.Helper()
	rows, err := s.readDB.QueryContext(context.WithoutCancel(t.Context()), "EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		t.Fatalf("explain %s: %v", text, err)
	}
	plan, err := collect(rows, func(row scanner) (string, error) {
		var a, b, c int
		var step string
		return step, row.Scan(&a, &b, &c, &step)
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestListReadsTheIndex(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{Path: newPath(t)})
	low := jobs.PriorityLow
	for _, query := range []jobs.JobQuery{
		{},
		{Status: jobs.StatusQueued},
		{Status: jobs.StatusRunning},
		{Status: jobs.StatusFailed},
		{Priority: &low, Model: "m", Metadata: map[string]string{"a": "b"}, Before: uuid.New()},
	} {
		query.Tenant = "acme"
		where, args := conditions(query)
		text := selectListed + ` WHERE ` + strings.Join(where, ` AND `) + ` ORDER BY j.id DESC LIMIT +?`
		plan := strings.Join(planOf(t, s, text, append(args, 10)...), "\n")
		if !strings.Contains(plan, "SEARCH j USING INDEX jobs_list") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("list %+v: got plan\n%s\nwant a search of jobs_list without sorting", query, plan)
		}
	}
}

// Ready reads an index that holds nothing that waits for a time, Unpark one
// that holds nothing else.
func TestWhatWaitsIsInAnIndexOfItsOwn(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{Path: newPath(t)})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.Routes(t.Context())
	must(err)
	_, err = s.Ready(t.Context(), jobs.ReadyQuery{Route: "default", Tenants: 1, PerTenant: 1})
	must(err)
	_, _, err = s.Unpark(t.Context(), time.Now(), 1)
	must(err)
	for text := range s.reader.prepared {
		if !strings.Contains(text, "parked_until") {
			continue
		}
		plan := strings.Join(planOf(t, s, text, make([]any, 30)...), "\n")
		want := "INDEX queue_ready"
		if strings.Contains(text, "parked_until > 0") {
			want = "INDEX queue_parked"
		}
		if n, all := strings.Count(plan, want), strings.Count(plan, "queue"); n == 0 || 2*n != all {
			t.Errorf("%s\nhas the plan\n%s\nwant only %s", text, plan, want)
		}
	}
}

// However much is pending of an endpoint, an opening reads only what was attempted.
func TestAnOpeningReadsWhatWasAttempted(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{Path: newPath(t)})
	if err := follow(t.Context(), s.writer, delivery.StateChange{Opened: true}); err != nil {
		t.Fatal(err)
	}
	for text := range s.writer.prepared {
		if !strings.Contains(text, "first_due_at") {
			continue
		}
		if plan := strings.Join(planOf(t, s, text, nil), "\n"); !strings.Contains(plan, "USING INDEX deliveries_waiting (endpoint_id=?)") {
			t.Errorf("%s\nhas the plan\n%s\nwant a search of deliveries_waiting", text, plan)
		}
	}
}
