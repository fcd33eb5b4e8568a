package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What docs/WEBHOOKS.md shows of these files is what they have.
func TestTheDocsShowTheseReceivers(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	docs, err := os.ReadFile(filepath.Join(root, "docs", "WEBHOOKS.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```(?:go|js|python) (examples/\\S+)\n(.*?\n)```\n").FindAllSubmatch(docs, -1)
	if len(shown) != 5 {
		t.Errorf("%d pieces are shown, want 5", len(shown))
	}
	for _, piece := range shown {
		file, err := os.ReadFile(filepath.Join(root, string(piece[1])))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(file), string(piece[2])) {
			t.Errorf("%s is shown otherwise than it is: %s", piece[1], piece[2])
		}
	}
}
