# shellcheck shell=bash
# One lab at a time on a machine: who has it, and that no two commands work on it at once. Sourced after lib.sh.

# shellcheck disable=SC2154  # lib.sh sets them
checkout=$(realpath "$parts/../../../..")

# Waits for a command that is at work; held until this process ends (nodes and the balancer close it).
lock_lab() {
  mkdir -p "$run"
  exec 9>"$run/lock"
  flock -w 5 9 || die "in use: another command works on the lab of $(cat "$run/owner" 2>/dev/null || echo 'another checkout')"
  if [[ -e $run/owner && $(<"$run/owner") != "$checkout $cache" ]]; then
    die "in use by another checkout or cache folder ($(<"$run/owner")); its tests/lab/down sets it free"
  fi
}

claim_lab() {
  lock_lab
  echo "$checkout $cache" >"$run/owner"
}
