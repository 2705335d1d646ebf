#!/usr/bin/env bash
# The first ring: installs what is missing, builds, and runs every test, the simulator and a little chaos; 6 minutes
# at most once it is built. Ends with the ring's verdict and its exit status.
#
# usage: tools/test.sh            all of it
#        tools/test.sh --fast     the unit and contract tests only
#        tools/test.sh ARGUMENTS  what CTest selects with these arguments, e.g. -R placer
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=tools/packages.sh
. "$ROOT/tools/packages.sh"
# shellcheck source=tools/build.sh
. "$ROOT/tools/build.sh"
# shellcheck source=tools/steps.sh
. "$ROOT/tools/steps.sh"

arguments=()
for argument in "$@"; do
  case $argument in
    --fast) arguments+=(-L '^(unit|contract)$') ;;
    -h | --help)
      sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *) arguments+=("$argument") ;;
  esac
done

require_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" || exit
build_release all || exit

# Tests that measure or hold a whole machine say so themselves (RUN_SERIAL, RESOURCE_LOCK).
tests=(ctest --test-dir "$ROOT/build" --output-on-failure --no-tests=error)
if ((${#arguments[@]})); then
  exec "${tests[@]}" -j2 "${arguments[@]}"
fi

# CTest, with its summary as the last line, skipped tests counted.
run_tests() {
  local log status=0
  log=$(mktemp)
  "${tests[@]}" "$@" | tee "$log" || status=$?
  echo "$(grep -E 'tests passed,' "$log" || true)$(grep -c '\*\*\*Skipped' "$log" | sed 's/^/, skipped: /')"
  rm -f "$log"
  return "$status"
}

begin_steps "tools/test.sh" "$ROOT/build/steps-test"
step "unit and contract tests" run_tests -j2 -L '^(unit|contract)$'
step "end-to-end tests" run_tests -L '^e2e$'
step "simulator, seeds 1..200" "$ROOT/build/bin/kevolve-sim" --seeds 1..200
step "chaos, 8 rounds" run_tests -L '^chaos$'
end_steps
