#!/usr/bin/env bash
# Formats, tidies, vets and lints, and fails if that changed a file or found
# something. LINT is the linter's command, from the Makefile.
#
# At a desk, files count as changed against what they were before the check, so
# work that is not committed yet is fine. In CI (CI=true) they count against
# the commit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

lint=${LINT:-go tool -modfile=tools/go.mod golangci-lint}
index=$(mktemp)
trap 'rm -f "$index"' EXIT

# Prints the tree of the files as they are now, untracked ones too, by way of an
# index of its own: the real one stays as it is.
snapshot() {
  cp "$(git rev-parse --git-path index)" "$index"
  GIT_INDEX_FILE=$index git add --all
  GIT_INDEX_FILE=$index git write-tree
}

if [ "${CI:-}" = true ]; then
  before=HEAD
  $lint version
else
  before=$(snapshot)
fi

echo "== format"
$lint fmt
echo "== tidy"
go mod tidy
echo "== vet"
go vet ./...
echo "== lint"
$lint run ./...

if ! git diff --exit-code --stat --patch "$before" "$(snapshot)"; then
  echo "penstock: formatting or go mod tidy changed the files above; look at them and commit" >&2
  exit 1
fi
echo "== nothing changed"
