// Command api serves the HTTP API of Penstock; with -embedded it is the whole
// system in one process. Environment, file and exit codes: docs/OPERATING.md.
package main

import (
	"os"

	"github.com/penstock-dev/penstock/internal/app"
)

func main() {
	os.Exit(app.Main(app.RoleAPI, os.Args[1:]))
}
