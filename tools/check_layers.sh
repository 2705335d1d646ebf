#!/usr/bin/env bash
# Checks who may include whom, and where third-party headers may stand (the table in DESIGN.md, "Layers").
#
# usage: tools/check_layers.sh [ROOT]        prints file:line of each offence; status 1 when there is one
#        tools/check_layers.sh --self-test   plants offences in a tree of its own and must find exactly those
#
# Use is transitive: a header that is allowed but includes one that is not, is an offence at the line that includes it.
set -euo pipefail
export LC_ALL=C

check_tree() {
  local root=$1
  local -a folders=() files=()
  for folder in engine configs queue runners stages tools tests; do
    [[ -d $root/$folder ]] && folders+=("$folder")
  done
  cd "$root"
  # Sources of tasks belong to candidates, not to this program.
  mapfile -t files < <(find "${folders[@]}" -path configs/tasks -prune -o -type f \
    \( -name '*.h' -o -name '*.cc' -o -name '*.c' \) -print | sort)
  ((${#files[@]})) || { echo "check_layers: no sources under $root" >&2; return 1; }
  awk -v made="$(find "${folders[@]}" -name '*.h.in' -printf '%h/%f ' | sed 's/\.in / /g')" '
    BEGIN {
      # Folder -> what it may use, as prefixes of paths. The longest folder that a path begins with counts.
      uses["engine/core/"] = "engine/core/"
      uses["engine/host/"] = "engine/host/ engine/core/"
      uses["configs/"] = "configs/ engine/core/"
      uses["queue/"] = "queue/ engine/"
      uses["runners/"] = "runners/ engine/core/"
      uses["stages/"] = "stages/ engine/core/ configs/ runners/ queue/worker_session.h queue/blob_id.h queue/codec.h"
      uses["tools/"] = "tools/ engine/ configs/ queue/ runners/ stages/"
      uses["tests/"] = "tests/ tools/ engine/ configs/ queue/ runners/ stages/"

      # Third-party header (prefix) -> folders whose .cc files may include it. tests/ may include any, anywhere.
      third["yaml-cpp/"] = "configs/"
      third["nlohmann/"] = "configs/ runners/ stages/ tools/"
      third["zmq.h"] = third["zmq.hpp"] = third["hiredis/"] = "queue/"
      third["msgpack.hpp"] = third["msgpack/"] = third["zstd.h"] = "queue/"
      third["openssl/"] = "queue/ runners/"
      third["curl/"] = "queue/ stages/"
      third["ffi.h"] = third["seccomp.h"] = third["cuda.h"] = "runners/"
      third["xapian.h"] = third["kainjow/"] = "stages/"
      third["CLI/"] = third["spdlog/"] = third["fmt/"] = third["httplib.h"] = "tools/"
      third["doctest/"] = ""

      # A header that CMake makes is known by its pattern, x.h.in.
      for (i = 1; i < ARGC; i++) known[ARGV[i]] = 1
      n = split(made, names, " ")
      for (i = 1; i <= n; i++) known[names[i]] = 1

      # Headers of the system, for every folder but engine/, which has the C++ standard library only.
      n = split("cpuid ctype dirent dlfcn elf errno fcntl features float getopt glob grp ifaddrs immintrin inttypes " \
                "limits link locale malloc math netdb poll pthread pwd sched semaphore setjmp signal spawn stdalign " \
                "stdarg stdbool stddef stdint stdio stdlib string strings sysexits syslog termios time ucontext " \
                "unistd utime wait x86intrin", names, " ")
      for (i = 1; i <= n; i++) system_header[names[i] ".h"] = 1
    }
    function zone(path,   i, best) {
      best = ""
      for (i in uses) if (index(path, i) == 1 && length(i) > length(best)) best = i
      return best
    }
    function under(path, prefixes,   list, n, i) {
      n = split(prefixes, list, " ")
      for (i = 1; i <= n; i++) if (index(path, list[i]) == 1) return 1
      return 0
    }
    function may(from, to) { return under(to, uses[zone(from)]) }
    function offend(file, line, text) { print file ":" line ": " text; offences++ }
    function angle(file, line, name,   home, t) {
      home = zone(file)
      if (name ~ /^[a-z_0-9]+$/) return                      # C++ standard library
      for (t in third) {
        if (index(name, t) != 1) continue
        if (home == "tests/") return
        if (!under(home, third[t])) offend(file, line, "<" name "> is not for " home)
        else if (file !~ /\.cc$/) offend(file, line, "<" name "> may stand in .cc files only")
        return
      }
      if (name in system_header || name ~ /^(sys|linux|netinet|arpa|net|asm)\//) {
        if (index(home, "engine/") == 1) offend(file, line, "<" name "> is of the system; engine/ has C++ only")
        return
      }
      offend(file, line, "<" name "> is not a known header; name its folder in tools/check_layers.sh and DESIGN.md")
    }
    function follow(from, direct, line, at, trail,   list, n, i) {
      if (seen[at]++) return
      if (!may(from, at)) {
        # Where the header in between is not allowed it either, the offence is reported there.
        if (at == direct) offend(from, line, "\"" at "\" is not for " zone(from))
        else if (may(direct, at)) offend(from, line, "\"" at "\" is not for " zone(from) " (through " trail ")")
        return
      }
      n = split(edges[at], list, " ")
      for (i = 1; i <= n; i++) follow(from, direct, line, list[i], trail " -> " list[i])
    }
    FNR == 1 { order[++files] = FILENAME }
    /^[ \t]*#[ \t]*include/ {
      if (match($0, /"[^"]+"/)) {
        name = substr($0, RSTART + 1, RLENGTH - 2)
        edges[FILENAME] = edges[FILENAME] " " name
        lines[FILENAME, name] = FNR
      } else if (match($0, /<[^>]+>/)) {
        name = substr($0, RSTART + 1, RLENGTH - 2)
        angles[FILENAME] = angles[FILENAME] " " FNR ":" name
      }
    }
    END {
      for (f = 1; f <= files; f++) {
        file = order[f]
        n = split(angles[file], list, " ")
        for (i = 1; i <= n; i++) {
          colon = index(list[i], ":")
          angle(file, substr(list[i], 1, colon - 1), substr(list[i], colon + 1))
        }
        n = split(edges[file], list, " ")
        for (i = 1; i <= n; i++) {
          if (!(list[i] in known)) {
            offend(file, lines[file, list[i]], "\"" list[i] "\" is not a path from the repository root")
            continue
          }
          split("", seen)
          follow(file, list[i], lines[file, list[i]], list[i], list[i])
        }
      }
      if (offences) print "check_layers: " offences " offences in " files " files"
      else print "check_layers: " files " files, no offence"
      exit offences > 0
    }' "${files[@]}"
}

self_test() {
  local tree found expected
  tree=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$tree'" EXIT
  mkdir -p "$tree"/{engine/core,engine/host,configs,queue,stages/compile,tools,tests}
  cd "$tree"
  printf '#include <vector>\n' >engine/core/value.h
  printf '#include "engine/core/value.h"\n' >engine/host/host.h
  printf '#include "engine/core/value.h"\n#include "engine/host/host.h"\n' >queue/worker_session.h
  printf '#include <zmq.h>\n#include <unistd.h>\n' >queue/socket.cc
  printf '#include <CLI/CLI.hpp>\n#include "queue/worker_session.h"\n' >tools/main.cc
  printf '#include <doctest/doctest.h>\n#include "tools/shown.h"\n' >tests/shown.h
  printf '\n' >tools/shown.h
  # The offences.
  printf '#include "queue/worker_session.h"\n#include <unistd.h>\n' >engine/core/plan.cc
  printf '#include <yaml-cpp/yaml.h>\n' >configs/load.h
  printf '#include <hiredis/hiredis.h>\n#include <boost/any.hpp>\n#include "gone.h"\n' >configs/load.cc
  printf '\n#include "queue/worker_session.h"\n#include "tests/shown.h"\n' >stages/compile/main.cc

  found=$(check_tree "$tree") && { echo "self-test: no offence was found" >&2; return 1; }
  expected='configs/load.cc:1: <hiredis/hiredis.h> is not for configs/
configs/load.cc:2: <boost/any.hpp> is not a known header; name its folder in tools/check_layers.sh and DESIGN.md
configs/load.cc:3: "gone.h" is not a path from the repository root
configs/load.h:1: <yaml-cpp/yaml.h> may stand in .cc files only
engine/core/plan.cc:2: <unistd.h> is of the system; engine/ has C++ only
engine/core/plan.cc:1: "queue/worker_session.h" is not for engine/core/
stages/compile/main.cc:2: "engine/host/host.h" is not for stages/ (through queue/worker_session.h -> engine/host/host.h)
stages/compile/main.cc:3: "tests/shown.h" is not for stages/
check_layers: 8 offences in 11 files'
  if [[ $found != "$expected" ]]; then
    printf 'self-test: expected\n%s\nself-test: found\n%s\n' "$expected" "$found" >&2
    return 1
  fi
  echo "check_layers: self-test passed"
}

if [[ ${1-} == --self-test ]]; then
  self_test
else
  check_tree "${1:-$(dirname "${BASH_SOURCE[0]}")/..}"
fi
