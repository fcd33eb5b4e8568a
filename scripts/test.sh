#!/usr/bin/env bash
# Runs every test with the race detector, against SQLite and miniredis and
# against a real Redis and Postgres, which scripts/with-servers.sh provides;
# scripts/with-languages.sh has Node and Python for the webhook receivers.
# Arguments replace the packages: scripts/test.sh -run TestSubmit ./jobs/...
#
# Hours and months of virtual time are too slow under the race detector. They are
# in files marked `//go:build !race` and run before it, without; the longest in a
# short form.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The race detector needs a C compiler.
command -v "$(go env CC)" >/dev/null || scripts/install.sh gcc libc6-dev

if [ "${CI:-}" = true ]; then
  go version >&2
fi

# Data that lasts is not what tests are about; fsync=on tries that too.
export PENSTOCK_TEST_FSYNC=${PENSTOCK_TEST_FSYNC:-off}

# The race detector watches our code. SQLite, which is C made into Go, and Redis'
# Lua run without: with it they took most of the time that all the tests took.
unwatched='-race=false -d=checkptr=0'
race=(-race "-gcflags=modernc.org/...=$unwatched" "-gcflags=github.com/yuin/gopher-lua/...=$unwatched")

if [ $# -gt 0 ]; then
  exec scripts/with-servers.sh scripts/with-languages.sh env CGO_ENABLED=1 go test "${race[@]}" "$@"
fi
unraced=$(grep -rlE --include='*_test.go' '^//go:build !race' . || true)
if [ -n "$unraced" ]; then
  # shellcheck disable=SC2086 # names of Go files have no spaces
  if grep -HE '^func Test' $unraced | grep -vE 'func Test(Sim|Month)'; then
    echo "penstock: nothing runs the tests above: one without the race detector is named TestSim…" >&2
    exit 1
  fi
  scripts/sim.sh -short
  scripts/month.sh -short
fi
exec scripts/with-servers.sh scripts/with-languages.sh env CGO_ENABLED=1 go test "${race[@]}" ./...
