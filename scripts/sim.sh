#!/usr/bin/env bash
# Runs the simulations in virtual time: tests named TestSim…, in any package,
# without the race detector, which the longest of them could not afford.
# Arguments are go test's own, such as -v. All of them take some ten minutes of
# processor time: five and a half of two cores that have nothing else to do.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

files=$(grep -rlE --include='*_test.go' '^func TestSim' . || true)
if [ -z "$files" ]; then
  echo "penstock: there is no simulation to run" >&2
  exit 1
fi
# Folders of Go packages have no spaces in their names.
# shellcheck disable=SC2046
exec go test -count=1 -timeout 60m -run '^TestSim' "$@" $(xargs -n1 dirname <<<"$files" | sort -u)
