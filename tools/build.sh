# shellcheck shell=bash
# Configures and builds the `release` preset into build/. Sourced, not run; needs $ROOT.
#
# build_release programs: what a run needs (a build folder that has the tests keeps them); build_release all: tests too.
# KEVOLVE_WERROR=ON in the environment makes warnings errors; without it the build folder keeps its setting.

build_release() {
  local build=$ROOT/build cache=$ROOT/build/CMakeCache.txt
  local -a configure=(cmake -S "$ROOT" --preset release)
  local needed=no tests=OFF
  [[ $1 == all ]] && tests=ON
  if [[ ! -f $build/build.ninja ]]; then
    configure+=("-DKEVOLVE_BUILD_TESTS=$tests")
    needed=yes
  elif [[ $tests == ON ]] && ! grep -qxF "KEVOLVE_BUILD_TESTS:BOOL=ON" "$cache"; then
    configure+=(-DKEVOLVE_BUILD_TESTS=ON)
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
