#!/usr/bin/env bash
# Runs each fuzz target of the project for a while: scripts/fuzz.sh [60s]
# go test fuzzes one target at a time, so the whole takes that long times the
# number of targets. A finding is written to testdata/fuzz: commit it with the
# fix.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fuzztime=${1:-60s}
grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sort | while IFS=: read -r file target; do
  echo "== $(dirname "$file") ${target#func }"
  go test -run '^$' -fuzz "^${target#func }\$" -fuzztime "$fuzztime" "$(dirname "$file")"
done
