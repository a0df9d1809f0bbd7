# kb_user: the number of the user who works here (proc(5), "Uid:", the second one), without a process for it. Result: $kb_user
kb_user() {
    while read -r kb_status_key kb_status_first kb_user kb_status_rest; do
        [ "$kb_status_key" != Uid: ] || return 0
    done <"/proc/$$/status"
    kb_user=$(id -u)
}

# kb_state: where this login keeps what a run leaves on the host. Result: $kb_state
# Root (or sudo, or a sandbox) uses /var/lib/keybook; another login has no right there and uses its home.
kb_state() {
    kb_user
    if [ -n "$KB_ROOT" ] || [ "$kb_user" = 0 ]; then
        kb_state=$KB_ROOT/var/lib/keybook
    else
        kb_state=${XDG_STATE_HOME:-$HOME/.local/state}/keybook
    fi
}

# kb_private PLACE...: refuses folders of ours where somebody else could put receipts or read keys.
kb_private() {
    for kb_private_place; do
        [ ! -L "$kb_private_place" ] ||
            kb_die 1 "$kb_private_place is a symbolic link; Keybook keeps receipts, backups and keys in a directory of its own only"
        [ -d "$kb_private_place" ] || kb_die 1 "$kb_private_place: Not a directory"
    done
    kb_private_found=$(stat -c '%u %a' -- "$@") || exit 1
    while read -r kb_private_owner kb_private_mode && [ $# -gt 0 ]; do
        [ "$kb_private_owner" = "$kb_user" ] ||
            kb_die 1 "$1 belongs to user $kb_private_owner, not to user $kb_user, as whom Keybook works here"
        case $kb_private_mode in
            *[2367]? | *[2367]) kb_die 1 "$1 can be written by others (mode $kb_private_mode)" ;;
        esac
        shift
    done <<KB_FOUND
$kb_private_found
KB_FOUND
}

# kb_still PLACE...: whether folders that were found to be ours alone are ours still; only we could open them to others since.
kb_still() {
    for kb_private_place; do
        [ ! -L "$kb_private_place" ] && [ -d "$kb_private_place" ] && [ -O "$kb_private_place" ] || return 1
    done
}

# kb_receipts RUN: makes the folder for a run's receipts. Result: $kb_receipts
kb_receipts() {
    kb_state
    kb_receipts=$kb_state/$1/receipts
    if [ ! -d "$kb_receipts" ]; then
        kb_mask=$(umask)
        umask 022
        mkdir -p -- "${kb_state%/*}" || exit 1
        umask 077
        for kb_receipts_part in "$kb_state" "$kb_state/$1" "$kb_receipts"; do
            # Someone else may make it at the same moment; then it is looked at like any other. What a folder that is
            # not ours leads to is not looked into.
            [ -d "$kb_receipts_part" ] || mkdir -- "$kb_receipts_part" || [ -d "$kb_receipts_part" ] || exit 1
            kb_private "$kb_receipts_part"
        done
        umask "$kb_mask"
    fi
    if [ -z "${kb_vetted:-}" ] || ! kb_still "$kb_state" "$kb_state/$1" "$kb_receipts"; then
        kb_private "$kb_state" "$kb_state/$1" "$kb_receipts"
    fi
}

# kb_started PID: since when the process runs, in clock ticks after boot (proc(5), field 22), and its state.
# Results: $kb_started (empty when there is none), $kb_life. The name, field 2, may hold anything but ends in ")".
kb_started() {
    kb_started=
    kb_life=
    kb_line=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    # shellcheck disable=SC2086 # fields
    set -- ${kb_line##*) }
    kb_life=$1
    kb_started=${20}
}

# kb_alive PID STARTED: whether that very process still runs; a zombie does not.
kb_alive() {
    kb_started "$1"
    [ -n "$2" ] && [ "$kb_started" = "$2" ] && [ "$kb_life" != Z ] && [ "$kb_life" != X ]
}
