# shellcheck shell=bash
# What the commands of this lab have in common: its names, addresses and folders. Sourced, never run.

# shellcheck disable=SC2034  # the scripts that source this read them
parts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../common.sh
source "$parts/../../common.sh"

# The names are the machine's, not a checkout's: there is one such lab at a time on a machine (parts/lock.sh).
net=keybook-lab
run=/run/keybook-lab
bridge_address=10.77.0.1
balancer_address=10.77.0.10
endpoint=$balancer_address:6443
control_planes=(cp1 cp2 cp3)
workers=(w1)
names=("${control_planes[@]}" "${workers[@]}")

# The release that the lab builds from Debian's source package.
built_version=v1.20.2

# Everything that is worth keeping is outside the checkout.
cache=$(realpath -m -- "${KEYBOOK_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/keybook-lab}")
[[ $cache =~ ^/[A-Za-z0-9_./@+-]+$ && $cache != / ]] ||
  die "the cache's path may hold only letters, digits and _ . / @ + - : $cache"
built=$cache/built
bin=${KUBE_BIN_DIR:-$built/kube}
state=$cache/state # of the lab that runs: the nodes' disks and what tests read
nodes=$state/nodes
snapshots=$cache/snapshots

# No image of this registry can be fetched from anywhere: all of them are made here.
registry=lab.invalid

address_of() {
  case $1 in
    cp*) echo "10.77.0.1${1#cp}" ;;
    w*) echo "10.77.0.2${1#w}" ;;
    *) die "no node $1; there are ${names[*]}" ;;
  esac
}

# The version of the binaries, as v1.20.2.
kube_version() {
  "$bin/kubeadm" version -o short
}

# remote NODE CMD...: as root by ssh, from outside of the cluster. One word is one shell command, as with ssh.
remote() {
  local node=$1
  shift
  ip netns exec "$net" ssh -F none -o BatchMode=yes -o ConnectTimeout=3 -o UserKnownHostsFile="$state/known_hosts" \
    -i "$state/id" "root@$(address_of "$node")" "$@"
}

# What the lab's administrator does, with the kubectl that belongs to the cluster.
kube() {
  ip netns exec "$net" "$bin/kubectl" --kubeconfig "$state/admin.conf" --request-timeout 20s "$@"
}

# The program of the lab's pods with this name: beside the cluster's own binaries, or as built here.
program() {
  local found=$bin/$1
  [[ -e $found ]] || found=$built/pods/$1
  [[ -e $found ]] || die "there is no $1 in $bin, nor built in $built/pods"
  echo "$found"
}

# until_true SECONDS WHAT CMD...: tries again until the command succeeds; says what did not happen in time.
until_true() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || die "not in time: $what"
    sleep 0.5
  done
}

say() {
  echo "[$SECONDS s] $*" >&2
}
