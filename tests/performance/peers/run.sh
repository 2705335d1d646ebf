#!/usr/bin/env bash
# Measures kevolve beside other task queues on this machine, in one run; README.md says how and what is unfair to whom.
#
# usage: tests/performance/peers/run.sh [--seconds S] [--jobs N] [--repeats R] [--only NAME,…] [--json]
#        tests/performance/peers/run.sh --self-test     tests of the statistics and of the ending of processes
# Table and JSON lines go to standard output, progress to standard error. At most nine minutes with the defaults, once
# the software is there. Status: 0 all was measured; 1 a system failed; 2 bad arguments; 5 this machine lacks something.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tools/packages.sh
. "$HERE/../../../tools/packages.sh"

# beanstalkd and gearmand are unpacked by the driver, not installed: their packages would start services.
require_packages g++ python3 python3-venv redis-server strace >&2

export PYTHONDONTWRITEBYTECODE=1
if [[ ${1-} == --self-test ]]; then
  cd "$HERE"
  exec /usr/bin/python3 -m unittest report_test processes_test
fi
exec /usr/bin/python3 "$HERE/bench.py" "$@"
