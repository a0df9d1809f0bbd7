# shellcheck shell=bash
# What the commands of this lab have in common: its options, names and addresses. Sourced, never run.

parts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export parts

# shellcheck source=../../common.sh
source "$parts/../../common.sh"

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
