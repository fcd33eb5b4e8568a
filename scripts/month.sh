#!/usr/bin/env bash
# Plays a fleet's month in virtual time, which takes minutes. Arguments are go
# test's own, such as -v, -short for a day, or -seed 2 for another month.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

exec go test -count=1 -timeout 60m -run '^TestMonth' ./e2e/months "$@"
