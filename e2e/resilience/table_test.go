package resilience

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// row is a row of the table: something that must hold, and how far it does.
type row struct {
	what                     string
	penstock, plain, obeying string
	goal                     string
	met                      bool
	// owes says what is missing for the goal, if it need not be met yet.
	owes string
}

// table returns the rows in Markdown.
func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| what | Penstock | plain loop | plain loop, obeying `Retry-After` | goal | met |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- |\n")
	for _, r := range rows {
		met := "yes"
		if !r.met {
			met = "**not yet**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.what, r.penstock, r.plain, r.obeying, r.goal, met)
	}
	return b.String()
}

// The table stands between these lines of its file.
const tableBegins, tableEnds = "<!-- table -->\n", "<!-- end of table -->\n"

func replaceTable(t *testing.T, path, text string) {
	t.Helper()
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(old), tableBegins)
	_, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table", path)
	}
	if err := os.WriteFile(path, []byte(before+tableBegins+"\n"+text+"\n"+tableEnds+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
