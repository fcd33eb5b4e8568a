#!/usr/bin/env bash
# Installs Debian packages without starting their services, or says who should.
#
#   scripts/install.sh redis-server postgresql
#
# Needs to be root on a Debian or Ubuntu machine; otherwise it exits 1 and
# prints what to do instead.
set -euo pipefail

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  cat >&2 <<MSG
penstock: missing on this machine: $*
  Install them with your package manager (on Debian: sudo apt-get install $*)
  and try again. To use servers that run already, set
    PENSTOCK_TEST_REDIS_URL=redis://127.0.0.1:6379/0
    PENSTOCK_TEST_POSTGRES_URL=postgres://user:password@127.0.0.1:5432/postgres
  Tests that kill servers still need the redis-server and postgres programs.
MSG
  exit 1
fi

# A service started by its package would take the standard ports and outlive
# the tests. A policy that is there already is the machine's own: it stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

# Tells Debian's postgresql package to leave the machine without a cluster.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
  mkdir -p /etc/postgresql-common
  echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
fi

echo "penstock: installing $*" >&2
export DEBIAN_FRONTEND=noninteractive
install() {
  apt-get install -y -q --no-install-recommends -o Dpkg::Options::=--force-confold "$@" >&2
}
install "$@" || {
  apt-get update -q >&2
  install "$@"
}
