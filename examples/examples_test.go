package examples_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/e2e/sdk/sdktest"
)

// program is an example and how it is run, in its folder.
type program struct {
	folder  string
	command []string
	// packages says that it is Node, and wants those of e2e/sdk.
	packages bool
}

var programs = []program{
	{folder: "go-client", command: []string{"go", "run", "."}},
	{folder: "python", command: []string{"python3", "penstock.py"}},
	{folder: "openai-node", command: []string{"node", "main.mjs"}, packages: true},
	{folder: "sdk-go", command: []string{"go", "run", "./openai"}},
	{folder: "anthropic-node", command: []string{"node", "main.mjs"}, packages: true},
	{folder: "sdk-go", command: []string{"go", "run", "./anthropic"}},
}

// Every program asks a question and a batch of two, and prints the answers.
func TestPrograms(t *testing.T) { //nolint:tparallel // one after the other: some are compiled
	t.Parallel()
	penstock := sdktest.Start(t, "", "")
	for _, p := range programs {
		t.Run(p.folder+" "+filepath.Base(p.command[len(p.command)-1]), func(t *testing.T) {
			said := p.run(t, penstock.URL)
			for _, want := range []string{`^chat: \w`, `^batch: (completed|ended),? 2 of 2$`, `^lake: \w`, `^sea: \w`} {
				if !regexp.MustCompile("(?m)" + want).MatchString(said) {
					t.Errorf("nothing is as %s in\n%s", want, said)
				}
			}
		})
	}
}

// run returns what the program prints.
func (p program) run(t *testing.T, url string) string {
	t.Helper()
	folder := p.folder
	if p.packages {
		folder = withPackages(t, folder)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute) // Go's SDKs are compiled the first time
	defer cancel()
	cmd := exec.CommandContext(ctx, p.command[0], p.command[1:]...)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), "PENSTOCK_URL="+url)
	var errs strings.Builder
	cmd.Stderr = &errs
	said, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: run `make test`, or `scripts/with-languages.sh go test ./examples`, which have what it needs\n%s", err, errs.String())
	}
	return string(said)
}

// withPackages returns a folder with the program and the npm packages of e2e/sdk, as if they
// had been installed there.
func withPackages(t *testing.T, folder string) string {
	t.Helper()
	dir := t.TempDir()
	packages, err := filepath.Abs("../e2e/sdk/node_modules")
	if err == nil {
		err = os.Symlink(packages, filepath.Join(dir, "node_modules"))
	}
	if err == nil {
		err = os.CopyFS(dir, os.DirFS(folder))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
