#!/usr/bin/env bash
# Installs what is missing, builds, and runs the tests; ends with CTest's summary and its exit status.
#
# usage: tools/test.sh [--fast] [arguments of ctest, e.g. -R placer]     --fast: the unit and contract rings only
# Without arguments: ring 1. `tools/test.sh -L long` has the end-to-end tests that take minutes, `-L trust` the hostile and unusual kernels.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=tools/packages.sh
. "$ROOT/tools/packages.sh"
# shellcheck source=tools/build.sh
. "$ROOT/tools/build.sh"

arguments=()
for argument in "$@"; do
  case $argument in
    --fast) arguments+=(-L '^(unit|contract)$') ;;
    -h | --help)
      sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *) arguments+=("$argument") ;;
  esac
done

((${#arguments[@]})) || arguments=(-LE '^(trust|long)$')

require_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" || exit
build_release all || exit

# Tests that measure or hold a whole machine say so themselves (RUN_SERIAL, RESOURCE_LOCK).
exec ctest --test-dir "$ROOT/build" --output-on-failure --no-tests=error -j2 "${arguments[@]}"
