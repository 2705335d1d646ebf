#!/usr/bin/env bash
# Everything that can be said of the sources without running them. Status 1 when a check fails, all are tried.
#
# usage: tools/check.sh [--install] [--fast]     format, layers, paths, links, scripts, then a clang build (not with --fast)
#        tools/check.sh --tidy [FILE…]           clang-tidy on these .cc files, or on all (slow)
# --install: get the tools first; without it a check whose tool is missing is skipped, and said so.
set -uo pipefail
export LC_ALL=C.UTF-8
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=tools/packages.sh
. "$ROOT/tools/packages.sh"
cd "$ROOT" || exit 1

failed=()
skipped=()
check() { # NAME COMMAND…
  local name=$1
  shift
  echo "== $name"
  "$@" || failed+=("$name")
}
have() { # PROGRAM NAME: whether the check called NAME can be made
  command -v "$1" >/dev/null || { skipped+=("$2 (no $1)") && return 1; }
}

# Files of this project by suffix: what git would take, or what lies there where there is no git.
sources() {
  if [[ -e .git ]] && git ls-files -co --exclude-standard -- "$@" 2>/dev/null; then return; fi
  local -a names=()
  for name in "$@"; do names+=(-o -name "$name"); done
  find . \( -path './build*' -o -path ./.git \) -prune -o -type f \( "${names[@]:1}" \) -print | sed 's|^\./||'
}

check_format() {
  # Sources of tasks are examples of what candidates look like; they keep their own shape.
  local found
  found=$(sources '*.h' '*.cc' | grep -v '^configs/tasks/' | xargs clang-format-19 --dry-run -Werror 2>&1) && return 0
  sed -n 's/^\([^ :]*\):[0-9:]* error: .*/\1/p' <<<"$found" | sort | uniq -c
  echo "Repair with: clang-format-19 -i FILE…"
  return 1
}

# A path of somebody's machine in a source works on that machine only.
check_paths() {
  local folders='work|home|Users' found
  found=$(sources '*' | grep -v '^LICENSE$' | tr '\n' '\0' |
    xargs -0 grep -nIE "(^|[^A-Za-z0-9_./~}-])/($folders)/[A-Za-z0-9_]") || return 0
  printf '%s\n' "$found"
  return 1
}

# Links of a page to files of this project lead somewhere.
check_links() {
  local page link status=0
  while read -r page; do
    while read -r link; do
      [[ -e $(dirname "$page")/${link%%#*} ]] || { echo "$page: there is no $link" && status=1; }
    done < <(grep -oE '\]\([^)#: ]+[^): ]*\)' "$page" | sed 's/^](\(.*\))$/\1/')
  done < <(sources '*.md')
  return "$status"
}

check_scripts() {
  local script status=0
  while read -r script; do
    bash -n "$script" || status=1
    if command -v shellcheck >/dev/null; then shellcheck -x "$script" || status=1; fi
  done < <(sources '*.sh' && echo .ci/run)
  return "$status"
}

clang_build() {
  { [[ -f build-clang/build.ninja ]] || cmake --preset clang; } && cmake --build --preset clang --parallel "$(nproc)"
}

tidy() {
  [[ -f build-clang/compile_commands.json ]] || cmake --preset clang || return 1
  if (($# == 0)); then mapfile -t < <(sources '*.cc') && set -- "${MAPFILE[@]}"; fi
  printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 clang-tidy-19 -p build-clang --quiet
}

fast=no
tidy_only=no
files=()
for argument in "$@"; do
  case $argument in
    --install) require_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" "${CHECK_PACKAGES[@]}" || exit ;;
    --fast) fast=yes ;;
    --tidy) tidy_only=yes ;;
    -h | --help)
      sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    -*)
      echo "error: unknown option $argument; see tools/check.sh --help" >&2
      exit 2
      ;;
    *) files+=("$argument") ;;
  esac
done

if [[ $tidy_only == yes ]]; then
  have clang-tidy-19 tidy && check tidy tidy "${files[@]}"
else
  have clang-format-19 format && check format check_format
  check layers tools/check_layers.sh
  check "layers: self-test" tools/check_layers.sh --self-test
  check "machine paths" check_paths
  check links check_links
  have shellcheck "shellcheck of scripts" || true
  check scripts check_scripts
  if [[ $fast == no ]] && have clang++-19 "clang build"; then check "clang build" clang_build; fi
fi

((${#skipped[@]} == 0)) || printf 'skipped: %s\n' "${skipped[@]}"
if ((${#failed[@]})); then
  printf 'FAILED: %s\n' "${failed[@]}"
  exit 1
fi
echo "checks passed"
