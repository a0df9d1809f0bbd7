# kb_state: where this login keeps what a run leaves on the host. Result: $kb_state
# Root (or sudo, or a sandbox) uses /var/lib/keybook; another login has no right there and uses its home.
kb_state() {
    if [ -n "$KB_ROOT" ] || [ "$(id -u)" = 0 ]; then
        kb_state=$KB_ROOT/var/lib/keybook
    else
        kb_state=${XDG_STATE_HOME:-$HOME/.local/state}/keybook
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
