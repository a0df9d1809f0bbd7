# shellcheck shell=bash
# What the lab's commands have in common: messages, the options of a lab, and whether a recorded
# process is still the one that was recorded. Sourced, never run.

parts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export parts

die() {
  echo "lab: $*" >&2
  exit 1
}

# Sets dir to the lab's absolute path. A path goes into YAML, mount options and host files unquoted.
lab_dir() {
  dir=$(realpath -m -- "$1")
  [[ $dir =~ ^/[A-Za-z0-9_./@+-]+$ ]] || die "the lab's path may hold only letters, digits and _ . / @ + - : $dir"
  [[ $dir != / ]] || die "not in /"
}

# Reads the options that `up` saved and derives names, addresses and endpoints from them.
lab_load() {
  [[ -f $dir/options ]] || die "no lab in $dir (run up first)"
  # shellcheck source=/dev/null
  source "$dir/options"
  masters=() addresses=() endpoints=() names=()
  local i
  for ((i = 0; i < NODES; i++)); do
    masters+=("jiujiu-tdh-$((10 + i))")
    addresses+=("127.66.$INDEX.$((10 + i))")
    endpoints+=("https://127.66.$INDEX.$((10 + i)):4001")
  done
  flannels=()
  for ((i = 1; i <= ${FLANNEL:-0}; i++)); do flannels+=("flannel-$i"); done
  names=("${masters[@]}")
  [[ $MANAGER != separate ]] || names+=(manager)
  names+=("${flannels[@]}")
}

address_of() {
  case $1 in
    manager) echo "127.66.$INDEX.20" ;;
    flannel-*) echo "127.66.$INDEX.$((30 + ${1##*-}))" ;;
    *) echo "127.66.$INDEX.${1##*-}" ;;
  esac
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
