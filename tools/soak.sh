#!/usr/bin/env bash
# The third ring, for hours: many seeds, many rounds, long fuzzing, and ten million jobs with flat memory. Its result is one
# JSON file with commit and machine.
#
# usage: tools/soak.sh [--parts sim,chaos,fuzz,jobs] [--out FILE] [--seeds N] [--rounds N] [--fuzz-seconds N] [--jobs N]
# Defaults: all parts, soak-COMMIT.json, 100000 seeds, 1000 rounds, 3600 s for each fuzzer, 10000000 jobs.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$ROOT"
# shellcheck source=tools/packages.sh
. tools/packages.sh
# shellcheck source=tools/build.sh
. tools/build.sh
# shellcheck source=tools/steps.sh
. tools/steps.sh

# What counts as flat: a job adds no more bytes than this (a few say what became of a candidate that was let go), to the
# engine or to Redis; or all of them together so few MB that it is the noise of snapshots and rewrites.
MOST_BYTES_PER_JOB=16
NOISE_MB=64

parts=sim,chaos,fuzz,jobs
out=
seeds=100000
rounds=1000
fuzz_seconds=3600
jobs=10000000
usage() {
  sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}
while (($#)); do
  case $1 in
    -h | --help)
      usage
      exit 0
      ;;
    --parts | --out | --seeds | --rounds | --fuzz-seconds | --jobs)
      if (($# < 2)); then
        echo "error: $1 needs a value" >&2
        exit 2
      fi
      name=${1#--}
      declare "${name//-/_}=$2"
      shift 2
      ;;
    *)
      echo "error: unknown option $1" >&2
      usage >&2
      exit 2
      ;;
  esac
done
for part in ${parts//,/ }; do
  case $part in
    sim | chaos | fuzz | jobs) ;;
    *)
      echo "error: there is no part $part: sim, chaos, fuzz, jobs" >&2
      exit 2
      ;;
  esac
done
for number in "$seeds" "$rounds" "$fuzz_seconds" "$jobs"; do
  [[ $number =~ ^[1-9][0-9]*$ ]] || {
    echo "error: '$number' is not a number above 0" >&2
    exit 2
  }
done
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo none)
[[ -z $(git status --porcelain 2>/dev/null) ]] || commit+=-changed
out=${out:-soak-$commit.json}

wanted() { [[ ,$parts, == *,$1,* ]]; }

# The output's last line, one JSON object, goes into the result; with the time.
results=()
part() { # NAME WHAT COMMAND…
  local name=$1 what=$2 begun=$SECONDS log line
  shift 2
  step "$what" "$@"
  log=$STEPS_FOLDER/$(tr -cs 'A-Za-z0-9\n' '-' <<<"$what").log
  line=$(grep -E '^\{.*\}$' "$log" | tail -n 1)
  results+=("\"$name\":{\"took_s\":$((SECONDS - begun)),\"result\":${line:-null}}")
}

# shellcheck disable=SC2317 # called by step
flat_memory() {
  local line
  line=$(build/bin/kevolve-bench steady --jobs "$1" --durability normal --json | tail -n 1)
  echo "$line"
  for who in engine redis; do
    awk -v most="$MOST_BYTES_PER_JOB" -v noise="$NOISE_MB" -v jobs="$1" -v who="$who" \
      -v is="$(sed -n "s/.*\"${who}_bytes_per_job\":\([-0-9.e+]*\).*/\1/p" <<<"$line")" 'BEGIN {
        if (is != "" && (is <= most || is * jobs <= noise * 1048576)) exit 0
        printf "a job adds %s bytes to the memory of %s; %s are allowed\n", is, who, most > "/dev/stderr"
        exit 1
      }' || return 1
  done
}

require_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" "${CHECK_PACKAGES[@]}" || exit
build_release all || exit
begin_steps "tools/soak.sh" "$ROOT/build-soak"
if wanted sim; then
  part sim "simulator, $seeds seeds" build/bin/kevolve-sim --seeds "1..$seeds"
fi
if wanted chaos; then
  part chaos "chaos, $rounds rounds" tests/chaos/run.sh --rounds "$rounds" --seed "$((RANDOM + 1))"
fi
if wanted fuzz; then
  part fuzz "fuzzers, $fuzz_seconds s each" tools/fuzz.sh "$fuzz_seconds"
fi
if wanted jobs; then
  part jobs "$jobs no-op jobs, memory" flat_memory "$jobs"
fi

verdict=0
end_steps || verdict=1
quoted() { tr -d '\\"' <<<"$1"; }
cat >"$out" <<EOF
{"commit":"$commit","date":"$(date -u +%Y-%m-%dT%H:%M:%SZ)","good":$( ((verdict)) && echo false || echo true),
 "machine":{"cpu":"$(quoted "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)")","cores":$(nproc),
  "memory_mb":$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo),"kernel":"$(uname -r)",
  "system":"$(quoted "$(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release)")"},
 "parts":{$(IFS=,; echo "${results[*]}")}}
EOF
echo "written: $out"
exit "$verdict"
