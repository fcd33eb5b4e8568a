#!/usr/bin/env bash
# Runs every test, on SQLite and miniredis and on a real Redis and Postgres, which
# scripts/with-servers.sh provides; scripts/with-languages.sh has Node and Python
# for the webhook receivers. Arguments replace the packages, and all is run with
# the race detector: scripts/test.sh -run TestSubmit ./jobs/...
#
# Without arguments there are three passes:
#
#   1. Without the race detector: packages that have tests in files marked
#      `//go:build !race`, which are hours of virtual time (the longest in a short
#      form), thousands of rows and megabytes, and would take minutes with it; and
#      tests of other processes, in which there is nothing for it to watch.
#   2. With it, on one processor each: packages with bubbles of testing/synctest.
#      When two threads run the timers of one bubble the race detector itself
#      crashes now and then (https://go.dev/issue/78156); with one processor there
#      are no two. Packages run side by side, so that no processor is idle.
#   3. With it: all others.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The race detector needs a C compiler.
command -v "$(go env CC)" >/dev/null || scripts/install.sh gcc libc6-dev
export CGO_ENABLED=1

if [ "${CI:-}" = true ]; then
  go version >&2
fi

# Data that lasts is not what tests are about; fsync=on tries that too.
export PENSTOCK_TEST_FSYNC=${PENSTOCK_TEST_FSYNC:-off}

# The race detector watches our code. SQLite, which is C made into Go, and Redis'
# Lua run without: with it they took most of the time that all the tests took.
unwatched='-race=false -d=checkptr=0'
race=(-race "-gcflags=modernc.org/...=$unwatched" "-gcflags=github.com/yuin/gopher-lua/...=$unwatched")

# make check vets.
run() { scripts/with-servers.sh scripts/with-languages.sh go test -vet=off "$@"; }

if [ $# -gt 0 ]; then
  run "${race[@]}" -cpu 1 "$@"
  exit
fi

# Tests wait for servers, and for time to pass: one package more than there are
# processors is run at a time.
together=(-p "$(($(getconf _NPROCESSORS_ONLN) + 1))")

module=$(go list -m)
processes=$(printf '%s\n' "$module"/e2e "$module"/e2e/promises)
unraced=$(grep -rlE --include='*_test.go' '^//go:build !race' . | xargs -n1 dirname | sed "s|^\.|$module|" | sort -u)
bubbles=$(go list -race -test -f '{{range .Deps}}{{if eq . "testing/synctest"}}{{$.ImportPath}}{{"\n"}}{{end}}{{end}}' ./... |
  sed -n 's/\.test$//p')
others=$(go list -race ./... | grep -vxF -e "$processes" -e "$bubbles")

# Names of packages have no spaces.
# shellcheck disable=SC2086
{
  echo "== without the race detector"
  run "${together[@]}" -short $processes $unraced
  echo "== with it, on one processor each"
  run "${together[@]}" "${race[@]}" -cpu 1 $bubbles
  echo "== with it"
  run "${together[@]}" "${race[@]}" $others
}
