#!/usr/bin/env bash
# Fuzzes what reads foreign bytes, under ASan and UBSan, beginning with the kept corpus. libFuzzer with clang when its
# runtime is installed (libclang-rt-19-dev), else g++ and the loop of tests/fuzz/fuzz_main.cc.
#
# usage: tools/fuzz.sh SECONDS [TARGET…]    SECONDS each; targets: fuzz_codec fuzz_wire fuzz_log, all by default
# What reached new code stays in build-fuzz/corpus/TARGET; what crashed in build-fuzz/found. Last line: one JSON object.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$ROOT"
if ! [[ ${1-} =~ ^[0-9]+$ ]]; then
  sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit 2
fi
seconds=$1
shift
mapfile -t all < <(sed -n 's/^kev_fuzz(\([a-z_]*\) .*/\1/p' tests/fuzz/CMakeLists.txt)
(($#)) || set -- "${all[@]}"

build="build-fuzz"
if [[ ! -f $build/build.ninja ]]; then
  if compgen -G '/usr/lib/llvm-19/lib/clang/19/lib/*/libclang_rt.fuzzer*' >/dev/null; then
    cmake --preset fuzz
  else
    cmake --preset fuzz-gcc
  fi
fi
cmake --build "$build" --parallel "$(nproc)" --target "$@"

results=()
status=0
mkdir -p "$build/found"
for target in "$@"; do
  kept=tests/fuzz/corpus/${target#fuzz_}
  grown=$build/corpus/$target
  mkdir -p "$grown"
  log=$build/$target.log
  echo "-- $target, $seconds s"
  found=0
  if grep -q 'CMAKE_CXX_COMPILER:.*clang' "$build/CMakeCache.txt"; then
    "$build/tests/$target" -max_total_time="$seconds" -max_len=9000 -timeout=20 -rss_limit_mb=3000 \
      -artifact_prefix="$build/found/$target-" "$grown" "$kept" >"$log" 2>&1 || found=1
    runs=$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log")
  else
    (cd "$build/found" && FUZZ_KEEP=$ROOT/$grown "$ROOT/$build/tests/$target" --seconds "$seconds" "$ROOT/$kept") \
      >"$log" 2>&1 || found=1
    runs=$(sed -n 's/^\([0-9]*\) changed inputs ran.*/\1/p' "$log")
  fi
  if ((found)); then
    grep -vE '^#[0-9]+' "$log" | tail -n 60
    echo "$target found something: see $build/found, and run $build/tests/$target FILE to see it again"
    status=1
  fi
  results+=("{\"target\":\"$target\",\"seconds\":$seconds,\"runs\":${runs:-0},\"found\":$found}")
done
echo "{\"fuzz\":[$(IFS=,; echo "${results[*]}")],\"good\":$( ((status)) && echo false || echo true)}"
exit "$status"
