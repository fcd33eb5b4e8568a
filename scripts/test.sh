#!/usr/bin/env bash
# Runs every test, on SQLite and miniredis and on a real Redis and Postgres, which
# scripts/with-servers.sh provides; scripts/with-languages.sh has Node and Python
# for the webhook receivers. Arguments replace the packages, and all is run with
# the race detector: scripts/test.sh -run TestSubmit ./jobs/...
#
# Without arguments these are run:
#
#   - Tests of other processes, without the race detector, which would have nothing
#     to watch in them. They wait most of the time: all else is run beside them, and
#     gives way to them.
#   - Tests in files marked `//go:build !race`, without it: hours of virtual time
#     (the longest in a short form), thousands of rows and megabytes, which would
#     take minutes with it.
#   - All others with it. Those of packages with bubbles of testing/synctest have one
#     processor each: the race detector itself crashes now and then when two threads
#     run the timers of one bubble (https://go.dev/issue/78156).
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

# make check vets. Many tests wait, for servers or for a time to pass: a few more
# than there are processors are run at a time.
gotest=(scripts/with-servers.sh scripts/with-languages.sh go test -vet=off -parallel 4 -timeout 20m)

if [ $# -gt 0 ]; then
  exec "${gotest[@]}" "${race[@]}" -cpu 1 "$@"
fi

module=$(go list -m)
processes=$(printf '%s\n' "$module"/e2e "$module"/e2e/promises)
bubbles=$(go list -race -test -f '{{range .Deps}}{{if eq . "testing/synctest"}}{{$.ImportPath}}{{"\n"}}{{end}}{{end}}' ./... |
  sed -n 's/\.test$//p')
others=$(go list -race ./... | grep -vxF -e "$processes" -e "$bubbles")
unraced=$(grep -rlE --include='*_test.go' '^//go:build !race' .)
names=$(grep -hoE '^func Test[A-Za-z0-9_]+' $unraced | sed 's/^func //' | paste -sd '|')
together=(-p "$(($(getconf _NPROCESSORS_ONLN) + 1))")

# What is missing is installed once, before two want it.
scripts/with-servers.sh scripts/with-languages.sh true
beside=$(mktemp)
# shellcheck disable=SC2086 # names of packages and files have no spaces
"${gotest[@]}" $processes >"$beside" 2>&1 &
child=$!
trap 'kill "$child" 2>/dev/null && wait "$child" || true; rm -f "$beside"' EXIT

# shellcheck disable=SC2086
{
  echo "== without the race detector: $(wc -w <<<"$unraced") files"
  nice "${gotest[@]}" "${together[@]}" -short -run "^($names)\$" $(xargs -n1 dirname <<<"$unraced" | sort -u)
  echo "== with it"
  nice "${gotest[@]}" "${together[@]}" "${race[@]}" -cpu 1 $bubbles
  nice "${gotest[@]}" "${together[@]}" "${race[@]}" $others
}
echo "== other processes"
code=0
wait "$child" || code=$?
cat "$beside"
exit "$code"
