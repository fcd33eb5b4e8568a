#!/usr/bin/env bash
# Runs the simulations in virtual time: tests named TestSim…, in any package,
# without the race detector, which the longest of them could not afford.
# Arguments are go test's own, such as -v.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mapfile -t packages < <(git grep -lE '^func TestSim' --untracked -- '*_test.go' | xargs -r -n1 dirname | sort -u | sed 's|^|./|')
if [ ${#packages[@]} -eq 0 ]; then
  echo "penstock: no simulation in any package" >&2
  exit 1
fi
exec go test -count=1 -run '^TestSim' "$@" "${packages[@]}"
