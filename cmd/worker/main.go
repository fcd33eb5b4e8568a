// Command worker runs what was submitted to cmd/api: it claims executions and
// calls providers. Environment, file and exit codes: docs/OPERATING.md.
package main

import (
	"os"

	"github.com/penstock-dev/penstock/internal/app"
)

func main() {
	os.Exit(app.Main(app.RoleWorker, os.Args[1:]))
}
