#!/usr/bin/env bash
# Runs a command with what tests of webhook receivers and of SDKs need beside Go: Node
# (18 or later) with npm, Python (3.9 or later), the official verifiers for JavaScript,
# as webhooks/delivery/testdata/javascript names them, and the SDKs of e2e/sdk.
#
#   scripts/with-languages.sh go test ./examples/... ./webhooks/... ./e2e/sdk/...
#
# Programs come from this machine; those that are missing are installed (Debian, as
# root), else this script fails and says what to do. The packages are installed
# when they are not there or package-lock.json has changed.
set -euo pipefail

if [ $# -eq 0 ]; then
  echo "usage: scripts/with-languages.sh COMMAND [ARGUMENT...]" >&2
  exit 2
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

has_node() { node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)' 2>/dev/null; }

has_npm() { command -v npm >/dev/null; }

has_python() { python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; }

provide_programs() {
  local missing=()
  has_node || missing+=(nodejs)
  has_npm || missing+=(npm)
  has_python || missing+=(python3)
  [ ${#missing[@]} -gt 0 ] || return 0

  "$here/install.sh" "${missing[@]}"
  if ! has_node || ! has_npm || ! has_python; then
    echo "penstock: ${missing[*]}, as installed, will not do: Node 18, npm and Python 3.9 are needed, or later" >&2
    exit 1
  fi
}

# A copy of the lock file, made last, says which packages are there.
provide_packages() {
  local packages=$1 stamp=$1/node_modules/.installed
  cmp -s "$packages/package-lock.json" "$stamp" && return

  echo "penstock: installing npm packages for tests" >&2
  (cd "$packages" && npm ci --ignore-scripts --no-audit --no-fund --fetch-retries 2 --fetch-timeout 60000 >&2)
  cp "$packages/package-lock.json" "$stamp"
}

provide_programs
provide_packages "$here/../webhooks/delivery/testdata/javascript"
provide_packages "$here/../e2e/sdk"
exec "$@"
