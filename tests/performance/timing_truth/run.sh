#!/usr/bin/env bash
# Counts how often the judge's intervals, claims and points are true on kernels of known ratio; README.md says how.
#
# usage: tests/performance/timing_truth/run.sh [--program P] [--load N] [--lanes N] [--keep FILE] [-- ARGUMENTS OF kevolve-truth]
#        tests/performance/timing_truth/run.sh --input FILE…    count kept repetitions again
#        tests/performance/timing_truth/run.sh --self-test      tests of the counting and of the kernels
# Table and JSON line go to standard output. Status: 0 all cells hold; 1 a cell failed; 2 bad arguments or input.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
export PYTHONDONTWRITEBYTECODE=1
if [[ ${1-} == --self-test ]]; then
  cd "$HERE"
  exec python3 -m unittest analysis_test kernels_test
fi
exec python3 "$HERE/truth.py" "$@"
