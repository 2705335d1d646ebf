#!/usr/bin/env bash
# Builds and runs tests under sanitizers: only those that the sanitizer can say something about, and only they are built.
#
# usage: tools/sanitize.sh asan-ubsan [--build-only]    the tests of tests/engine and tests/queue, the simulator, and the kept
#                                                       corpus of the fuzzers with 10 s of changed inputs each
#        tools/sanitize.sh tsan [--build-only]          what runs over the in-memory transport
# libzmq is not instrumented: under TSan every use of it would be reported.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$ROOT"

tests_of() { # FOLDER: names of its tests
  sed -n 's/^kev_test(\([a-z0-9_]*\).*/\1/p' "tests/$1/CMakeLists.txt"
}
case ${1-} in
  asan-ubsan)
    mapfile -t names < <(tests_of engine && tests_of queue)
    mapfile -t fuzzers < <(sed -n 's/^kev_fuzz(\([a-z_]*\) .*/\1/p' tests/fuzz/CMakeLists.txt)
    names+=("${fuzzers[@]}")
    ;;
  tsan) names=(engine_host_test memory_network_test transport_contract_test) ;;
  *)
    sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
build=build-$1
# With clang at -O0 a file takes a quarter of the time that g++ at -O1 takes, and all of it together less, tests included.
[[ -f $build/build.ninja ]] || cmake --preset "$1"
cmake --build "$build" --parallel "$(nproc)" --target "${names[@]}" kevolve-sim
[[ ${2-} != --build-only ]] || exit 0

export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
if [[ $1 == tsan ]]; then
  for name in "${names[@]}"; do
    filter=()
    [[ $name == transport_contract_test ]] && filter=('--test-case-exclude=*ZmqRig*')
    "$build/tests/$name" "${filter[@]}"
  done
  "$build/bin/kevolve-sim" --seeds 1..10
else
  pattern=$(printf '|%s' "${names[@]}")
  ctest --test-dir "$build" --output-on-failure --no-tests=error --timeout 600 -j2 -R "^(${pattern:1})\$"
  "$build/bin/kevolve-sim" --seeds 1..20
  mkdir -p "$build/found"
  for fuzzer in "${fuzzers[@]}"; do
    (cd "$build/found" && "$ROOT/$build/tests/$fuzzer" --seconds 10 "$ROOT/tests/fuzz/corpus/${fuzzer#fuzz_}")
  done
fi
