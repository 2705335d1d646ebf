# shellcheck shell=bash
# Configures and builds the `release` preset into build/. Sourced, not run; needs $ROOT.
#
# KEVOLVE_WERROR=ON in the environment makes warnings errors; without it the build folder keeps its setting.

build_release() {
  local build=$ROOT/build cache=$ROOT/build/CMakeCache.txt
  local -a configure=(cmake -S "$ROOT" --preset release)
  local needed=no
  if [[ ! -f $build/build.ninja ]]; then
    needed=yes
  elif ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$ROOT" "$cache"; then
    configure+=(--fresh) # the folder was moved or copied here
    needed=yes
  fi
  if [[ -n ${KEVOLVE_WERROR-} ]]; then
    configure+=("-DKEVOLVE_WERROR=$KEVOLVE_WERROR")
    grep -qsxF "KEVOLVE_WERROR:BOOL=$KEVOLVE_WERROR" "$cache" || needed=yes
  fi
  if [[ $needed == yes ]]; then
    "${configure[@]}" || return 3
  fi
  cmake --build "$build" --parallel "$(nproc)" || return 3
}
