#!/usr/bin/env bash
# From a clone to a found kernel: installs what is missing, builds, and runs the main job.
#
# usage: tools/quickstart.sh [--build-only] [arguments of `kevolve run`, e.g. --task matmul]
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=tools/packages.sh
. "$ROOT/tools/packages.sh"
# shellcheck source=tools/build.sh
. "$ROOT/tools/build.sh"

build_only=no
arguments=()
for argument in "$@"; do
  case $argument in
    --build-only) build_only=yes ;;
    -h | --help)
      sed -n '2,4s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *) arguments+=("$argument") ;;
  esac
done

require_packages "${BUILD_PACKAGES[@]}" || exit
build_release programs || exit
[[ $build_only == no ]] || exit 0

if [[ $PWD -ef $ROOT ]]; then
  command=(build/bin/kevolve run configs/workflows/quickstart.yaml)
else
  command=("$ROOT/build/bin/kevolve" run "$ROOT/configs/workflows/quickstart.yaml")
fi
command+=("${arguments[@]}")
echo "\$ ${command[*]}"
exec "${command[@]}"
