# kb_state: where this login keeps what a run leaves on the host. Result: $kb_state
# Root (or sudo, or a sandbox) uses /var/lib/keybook; another login has no right there and uses its home.
kb_state() {
    if [ -n "$KB_ROOT" ] || [ "$(id -u)" = 0 ]; then
        kb_state=$KB_ROOT/var/lib/keybook
    else
        kb_state=${XDG_STATE_HOME:-$HOME/.local/state}/keybook
    fi
}

# kb_private PLACE: refuses a folder of ours where somebody else could put receipts or read keys.
kb_private() {
    [ ! -L "$1" ] || kb_die 1 "$1 is a symbolic link; Keybook keeps receipts, backups and keys in a directory of its own only"
    [ -d "$1" ] || kb_die 1 "$1: Not a directory"
    kb_private=$(stat -c '%u %a' -- "$1") || exit 1
    [ "${kb_private% *}" = "$(id -u)" ] ||
        kb_die 1 "$1 belongs to user ${kb_private% *}, not to user $(id -u), as whom Keybook works here"
    case ${kb_private#* } in
        *[2367]? | *[2367]) kb_die 1 "$1 can be written by others (mode ${kb_private#* })" ;;
    esac
}

# kb_receipts RUN: makes the folder for a run's receipts. Result: $kb_receipts
kb_receipts() {
    kb_state
    kb_mask=$(umask)
    umask 022
    mkdir -p -- "${kb_state%/*}" || exit 1
    umask 077
    kb_receipts=$kb_state
    for kb_part in "" "/$1" /receipts; do
        kb_receipts=$kb_receipts$kb_part
        # Someone else may make it at the same moment; then it is looked at like any other.
        [ -d "$kb_receipts" ] || mkdir -- "$kb_receipts" || [ -d "$kb_receipts" ] || exit 1
        kb_private "$kb_receipts"
    done
    umask "$kb_mask"
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
