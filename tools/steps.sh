# shellcheck shell=bash
# Steps of a test ring: each says what it does, how long it took and its last line. Sourced, not run; needs $ROOT.
#
# begin_steps NAME FOLDER; step WHAT COMMAND…; end_steps. A step that fails shows the end of its output, the others
# still run, and end_steps gives status 1. Whole outputs lie in FOLDER.

begin_steps() { # NAME FOLDER
  STEPS_RING=$1
  STEPS_FOLDER=$2
  STEPS_BEGUN=$SECONDS
  STEPS_FAILED=()
  rm -rf "$STEPS_FOLDER"
  mkdir -p "$STEPS_FOLDER"
  echo "== $STEPS_RING: load $(cut -d' ' -f1 /proc/loadavg) on $(nproc) cores, outputs in $STEPS_FOLDER"
}

step() { # WHAT COMMAND…
  local what=$1 begun=$SECONDS status=0 log
  shift
  log=$STEPS_FOLDER/$(tr -cs 'A-Za-z0-9\n' '-' <<<"$what").log
  printf '%-44s ' "$what"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if ((status == 0)); then
    printf '%5d s  ok      %s\n' $((SECONDS - begun)) "$(last_line "$log")"
    return 0
  fi
  printf '%5d s  FAILED with status %d; the end of %s:\n' $((SECONDS - begun)) "$status" "$log"
  tail -n 60 "$log" | sed 's/^/    | /'
  STEPS_FAILED+=("$what")
}

# The last line that says something, cut to a width.
last_line() { # FILE
  grep -v '^[[:space:]]*$' "$1" | tail -n 1 | cut -c 1-160
}

end_steps() {
  local took=$((SECONDS - STEPS_BEGUN))
  if ((${#STEPS_FAILED[@]})); then
    printf '== %s FAILED after %d s: ' "$STEPS_RING" "$took"
    printf '%s; ' "${STEPS_FAILED[@]}"
    echo
    return 1
  fi
  echo "== $STEPS_RING passed in $took s"
}
