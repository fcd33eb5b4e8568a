#!/usr/bin/env bash
# The long form of the kill suite: real processes, 2,000 jobs in flight, every
# fault alone and in pairs, and a checker that reads the whole history.
#
#   scripts/chaos.sh                  seeds 1 to 5, which between them try every pair
#   scripts/chaos.sh 3                seed 3 again, with the same schedule
#   scripts/chaos.sh 3 stop-worker    of it, the rounds with that in their name
#   scripts/chaos.sh 1 batches        no round: processes that are killed as they take a batch
#                                     in, read it and run it, which is also done before all rounds
#
# CHAOS_AT_ONCE says how many rounds are played side by side (3). Times are those
# of the machine: on one that is busy they are longer. Of a round that fails the
# logs of all processes and the whole history are kept in chaos-failures.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seeds=${1:-1,2,3,4,5}
rounds=${2:-}
export PENSTOCK_TEST_FSYNC=${PENSTOCK_TEST_FSYNC:-off}

failures=${CHAOS_FAILURES:-$PWD/chaos-failures}
mkdir -p "$failures"

play() {
  scripts/with-servers.sh go test -artifacts -outputdir "$failures" -count=1 -v -timeout 6h -parallel "${CHAOS_AT_ONCE:-3}" \
    -run "$1" ./e2e -chaos "$seeds" |
    grep --line-buffered -vE '^=== |^ *--- PASS' | sed -u 's/^ *[a-z_]*_test.go:[0-9]*: //'
}

failed=0
case $rounds in
'' | batches) play '^TestInvariant1KilledWhile' || failed=1 ;;
esac
if [ "$rounds" != batches ]; then
  play "^TestChaos\$/^seeds\$/^[0-9]+\$/$rounds" || failed=1
fi
exit "$failed"
