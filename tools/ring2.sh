#!/usr/bin/env bash
# The second ring, on top of .ci/run: the simulator with new seeds for each commit, chaos, sanitizers, fuzzers. Ends with the
# ring's verdict and its exit status.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$ROOT"
# shellcheck source=tools/packages.sh
. tools/packages.sh
# shellcheck source=tools/build.sh
. tools/build.sh
# shellcheck source=tools/steps.sh
. tools/steps.sh
export KEVOLVE_WERROR=ON
# New seeds with each commit, the same ones when it is run again.
seed=$((16#$(git rev-parse --short=7 HEAD 2>/dev/null || echo 1)))

begin_steps "tools/ring2.sh" "$ROOT/build-ci"
step "packages" require_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" "${CHECK_PACKAGES[@]}"
step "programs and tests" build_release all
step "simulator, 2,000 seeds from $seed" build/bin/kevolve-sim --seeds "$seed..$((seed + 1999))"
step "chaos, 40 rounds, seed $seed" tests/chaos/run.sh --rounds 40 --seed "$seed"
step "ASan and UBSan: engine, queue" tools/sanitize.sh asan-ubsan
step "TSan: engine, in-memory transport" tools/sanitize.sh tsan
step "fuzzers, 60 s each" tools/fuzz.sh 60
end_steps
