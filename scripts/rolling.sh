#!/usr/bin/env bash
# Replaces every process of an older Penstock, one after another and under load,
# by one of this checkout, and then back: old and new programs run side by side on
# one schema, and no request may fail.
#
#   scripts/rolling.sh v0.1.0
#   scripts/rolling.sh HEAD~20
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -z "${1:-}" ]; then
  echo "usage: make rolling OLD=revision, such as OLD=HEAD~20" >&2
  exit 2
fi
older=$(mktemp -d)
trap 'git worktree remove --force "$older/source" 2>/dev/null || true; rm -rf "$older"' EXIT
git worktree add --quiet --detach "$older/source" "$1"
(cd "$older/source" && go build -o "$older/" ./cmd/api ./cmd/worker)

scripts/with-servers.sh go test -count=1 -v -timeout 10m -run '^TestRollingReplacement$' ./e2e -older "$older"
