#!/usr/bin/env bash
# Real force: runs under fire, and what their workers noted against the engine's log. Builds what it needs.
# Ends with one JSON line; status 1 when anything was lost, counted twice or did not go on.
#
# usage: tests/chaos/run.sh --rounds N [--seed S] [--durability strict|normal|fast] [--candidates N] [--folder DIR]
#                           [--keep] [--verbose]
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
case ${1-} in
  -h | --help | '')
    sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    [[ -n ${1-} ]] && exit 0 || exit 2
    ;;
esac
BUILD=${KEVOLVE_BUILD:-$ROOT/build}
# tools/quickstart.sh leaves a build without tests.
grep -qs 'KEVOLVE_BUILD_TESTS:BOOL=ON' "$BUILD/CMakeCache.txt" ||
  cmake -S "$ROOT" --preset release -B "$BUILD" -DKEVOLVE_BUILD_TESTS=ON >&2
cmake --build "$BUILD" --target kevolve-chaos >&2
export KEVOLVE_BUILD_BIN=$BUILD/bin KEVOLVE_SOURCE_DIR=$ROOT
exec "$BUILD/bin/kevolve-chaos" "$@"
