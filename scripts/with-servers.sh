#!/usr/bin/env bash
# Runs a command with a real Redis and a real Postgres to test against.
#
#   scripts/with-servers.sh go test ./storage/...
#   scripts/with-servers.sh bash
#
# The command finds them in PENSTOCK_TEST_REDIS_URL and
# PENSTOCK_TEST_POSTGRES_URL. A variable that is set already is passed on. For
# one that is not, a throw-away server is started on a free loopback port with
# its data in a temporary folder, and stopped when the command ends, whatever
# ends it. The programs come from this machine; if they are missing they are
# installed (Debian, as root), else the command runs in a container that has
# them (docker compose), else this script fails and says what to do.
#
#   PENSTOCK_TEST_FSYNC=off   faster tests; figures measured so mean nothing
set -euo pipefail

if [ $# -eq 0 ]; then
  echo "usage: scripts/with-servers.sh COMMAND [ARGUMENT...]" >&2
  exit 2
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
fsync=${PENSTOCK_TEST_FSYNC:-on}
tmp=
pids=()
child=

find_redis() { command -v redis-server || true; }

# The directory of initdb and postgres. Debian keeps them out of PATH, one
# directory a version: the newest wins.
find_postgres() {
  local dir
  if dir=$(command -v postgres) && command -v initdb >/dev/null; then
    dirname "$dir"
    return
  fi
  for dir in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
    if [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ]; then
      echo "$dir"
      return
    fi
  done
}

# Makes sure both programs are there. Tests that kill a server start their own,
# so they are wanted even when both variables are set; but then nothing here
# needs them, and a test that does fails by itself.
provide_programs() {
  local missing=()
  [ -n "$(find_redis)" ] || missing+=(redis-server)
  [ -n "$(find_postgres)" ] || missing+=(postgresql)
  [ ${#missing[@]} -gt 0 ] || return 0

  if [ -n "${PENSTOCK_TEST_REDIS_URL:-}" ] && [ -n "${PENSTOCK_TEST_POSTGRES_URL:-}" ]; then
    "$here/install.sh" "${missing[@]}" || echo "penstock: going on without them" >&2
    return
  fi
  if ! can_install && docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; then
    echo "penstock: ${missing[*]} missing here: running in a container" >&2
    exec docker compose -f "$here/compose.test.yml" run --rm test "$@"
  fi
  "$here/install.sh" "${missing[@]}"
}

can_install() { [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; }

# Runs a program that dies with this script where the system can do that, so
# that even kill -9 of the script leaves no server behind.
tied() {
  if command -v setpriv >/dev/null; then
    exec setpriv --pdeathsig KILL "$@"
  fi
  exec "$@"
}

# Postgres refuses to run as root.
as_postgres_user() {
  if [ "$(id -u)" -ne 0 ]; then
    tied "$@"
  fi
  tied --reuid "$(postgres_user)" --regid "$(id -g "$(postgres_user)")" --clear-groups "$@"
}

postgres_user() {
  if id postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    listens "$port" || break
  done
  echo "$port"
}

# Says in a CI log what the tests ran against.
announce() { [ "${CI:-}" != true ] || echo "penstock: $1" >&2; }

redis_ready() { listens "$1"; }

# Postgres listens before it lets anyone in; its pid file says when.
postgres_ready() { grep -qs '^ready' "$tmp/postgres/postmaster.pid" && listens "$1"; }

# Waits until a server is ready; fails when its process ends first, as it does
# when another program took the port in between.
wait_ready() {
  local name=$1 pid=$2 i
  for ((i = 0; i < 1200; i++)); do
    kill -0 "$pid" 2>/dev/null || return 1
    if "${name}_ready" "$port"; then
      kill -0 "$pid" 2>/dev/null
      return
    fi
    sleep 0.025
  done
  return 1
}

# start NAME tries launch_NAME PORT on a few ports and sets $port.
start() {
  local name=$1 try pid
  for try in 1 2 3 4 5; do
    port=$(free_port)
    # Job control gives each server a process group of its own: Ctrl-C in the
    # terminal reaches the command, not the servers under it.
    set -m
    "launch_$name" "$port" </dev/null >"$tmp/$name.log" 2>&1 &
    pid=$!
    set +m
    if wait_ready "$name" "$pid"; then
      pids+=("$pid")
      return
    fi
    kill -KILL "$pid" 2>/dev/null || true
  done
  echo "penstock: $name did not start after $try tries; the end of its log:" >&2
  tail -n 20 "$tmp/$name.log" >&2
  exit 1
}

launch_redis() {
  tied "$(find_redis)" --bind 127.0.0.1 --port "$1" --dir "$tmp" --save '' --appendonly no \
    --databases 512 --maxmemory-policy noeviction
}

launch_postgres() {
  as_postgres_user "$(find_postgres)/postgres" -D "$tmp/postgres" -p "$1" -k "$tmp/postgres" \
    -c listen_addresses=127.0.0.1 -c max_connections=200 -c "fsync=$fsync"
}

start_redis() {
  start redis
  announce "$(redis-server --version)"
  export PENSTOCK_TEST_REDIS_URL="redis://127.0.0.1:$port/0"
}

start_postgres() {
  mkdir "$tmp/postgres"
  [ "$(id -u)" -ne 0 ] || chown "$(postgres_user)" "$tmp/postgres"
  if ! (cd / && as_postgres_user "$(find_postgres)/initdb" -D "$tmp/postgres" -U penstock -A trust \
    -E UTF8 --no-locale --no-sync) >"$tmp/initdb.log" 2>&1; then
    echo "penstock: initdb failed:" >&2
    cat "$tmp/initdb.log" >&2
    exit 1
  fi
  start postgres
  announce "$("$(find_postgres)/postgres" --version), fsync $fsync"
  export PENSTOCK_TEST_POSTGRES_URL="postgres://penstock@127.0.0.1:$port/postgres?sslmode=disable"
}

stop() {
  local code=$? pid
  trap '' INT TERM HUP
  if [ -n "$child" ]; then
    kill -TERM -- "-$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  for pid in ${pids[@]+"${pids[@]}"}; do
    kill -INT "$pid" 2>/dev/null || true
  done
  for pid in ${pids[@]+"${pids[@]}"}; do
    wait "$pid" 2>/dev/null || true
  done
  [ -z "$tmp" ] || rm -rf "$tmp"
  exit "$code"
}

# At a terminal the command stays in the foreground, so that psql or a shell
# works. Elsewhere it gets a process group, so that what kills this script ends
# the command and everything it started.
run() {
  local code=0
  if [ -t 0 ]; then
    "$@" || code=$?
  else
    set -m
    "$@" &
    child=$!
    set +m
    wait "$child" || code=$?
    child=
  fi
  return "$code"
}

trap stop EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

provide_programs "$@"
tmp=$(mktemp -d "${TMPDIR:-/tmp}/penstock-servers.XXXXXX")
chmod 755 "$tmp" # the Postgres user must get to its folder
[ -n "${PENSTOCK_TEST_REDIS_URL:-}" ] || start_redis
[ -n "${PENSTOCK_TEST_POSTGRES_URL:-}" ] || start_postgres

run "$@"
