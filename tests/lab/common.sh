# shellcheck shell=bash
# What all labs have in common: messages, and whether a recorded process is still the one that was recorded.
# Sourced, never run.

die() {
  echo "lab: $*" >&2
  exit 1
}

# "pid start-time" of a process; the start time tells a reused pid apart. A zombie counts as gone.
# Builtins only: node-boot uses it, as the only process that may read its own /proc/self.
process_identity() {
  local stat rest fields
  read -r stat <"/proc/$1/stat" || return 1
  rest=${stat##*) }
  read -ra fields <<<"$rest"
  [[ ${fields[0]} != Z ]] || return 1
  echo "${stat%% *} ${fields[19]}"
}

# Is the process recorded in this file alive? Sets recorded_pid.
# shellcheck disable=SC2034  # the caller reads it
recorded_alive() {
  local record now
  recorded_pid=
  [[ -s $1 ]] || return 1
  read -r record <"$1"
  now=$(process_identity "${record%% *}" 2>/dev/null) || return 1
  [[ $now == "$record" ]] || return 1
  recorded_pid=${record%% *}
}

# Closes every open file but the standard ones, so that nodes, which outlive their starter, hold no pipe that
# somebody waits on. For a subshell that is about to exec.
close_inherited() {
  local fd
  for fd in "/proc/$BASHPID/fd/"*; do
    fd=${fd##*/}
    ((fd <= 2 || fd == 255)) || exec {fd}>&-
  done
}

join() {
  local IFS=$1
  shift
  echo "$*"
}
