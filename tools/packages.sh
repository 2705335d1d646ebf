# shellcheck shell=bash
# The Debian packages that this project needs, and how they get onto a machine. Sourced, not run.
#
# require_packages NAME… returns at once when all are installed. Otherwise it runs apt-get as root or through sudo, or
# prints the line to run and returns 5 (the environment refuses, docs/exit-codes.md).

# What the build and the main job use. g++ brings cc, the compiler of candidates; openblas is a task's baseline.
# shellcheck disable=SC2034
BUILD_PACKAGES=(
  g++ cmake ninja-build pkg-config ccache
  libzmq3-dev cppzmq-dev libhiredis-dev redis-server libmsgpack-cxx-dev
  libyaml-cpp-dev nlohmann-json3-dev libcli11-dev
  libcurl4-openssl-dev libkainjow-mustache-dev libffi-dev libseccomp-dev bubblewrap libjemalloc-dev libzstd-dev libssl-dev libopenblas-dev
  doctest-dev
)
# What the tests use beyond that: network namespaces, a scripted model server, and tools that look into binaries.
# shellcheck disable=SC2034
TEST_PACKAGES=(iproute2 libcpp-httplib-dev binutils llvm valgrind)
# What tools/check.sh and tools/fuzz.sh use.
# shellcheck disable=SC2034
CHECK_PACKAGES=(clang-19 clang-format-19 clang-tidy-19 libclang-rt-19-dev shellcheck)

missing_packages() {
  local name state
  local -A have=()
  while read -r name state; do
    [[ $state == installed ]] && have[$name]=1
  done < <(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null)
  for name in "$@"; do
    [[ -n ${have[$name]-} ]] || printf '%s\n' "$name"
  done
}

require_packages() {
  local -a missing as_root=()
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "error: this script installs Debian packages, and there is no dpkg and apt-get here." >&2
    echo "       Install the counterparts of these, then run: cmake --preset release && cmake --build build" >&2
    echo "       $*" >&2
    return 5
  fi
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0

  if ((EUID != 0)); then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
      as_root=(sudo -n)
    elif command -v sudo >/dev/null && [[ -t 0 ]]; then
      as_root=(sudo)
    else
      echo "error: ${#missing[@]} packages are missing and this user may not install them. Run as root:" >&2
      echo "       apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
      echo "       Then run this script again." >&2
      return 5
    fi
  fi

  echo "Installing ${#missing[@]} packages: ${missing[*]}"
  local log status=0
  local -a apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300
    -o Dpkg::Use-Pty=0)
  log=$(mktemp)
  # Without a fresh index an install can still work from what is known; its own error says more than update's.
  "${apt[@]}" update >"$log" 2>&1 || status=$?
  ((status == 0)) || echo "warning: apt-get update failed (status $status); going on with the index at hand" >&2
  status=0
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >>"$log" 2>&1 </dev/null || status=$?
  if ((status != 0)); then
    tail -n 30 "$log" >&2
    echo "error: apt-get install failed with status $status; what it said is above. Repair that and run this again." >&2
    rm -f "$log"
    return 5
  fi
  rm -f "$log"
}
