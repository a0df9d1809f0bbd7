# PID STARTED: ends the process group; prints none (it did not run), ended, killed or stuck
kb_group() {
    for kb_stat in /proc/[0-9]*/stat; do
        { read -r kb_line <"$kb_stat"; } 2>/dev/null || continue
        # shellcheck disable=SC2086 # fields
        set -- "$1" ${kb_line##*) }
        # Fields 3 and 5: state and process group.
        if [ "$4" = "$1" ] && [ "$2" != Z ] && [ "$2" != X ]; then return 0; fi
    done
    return 1
}
kb_wait() {
    kb_turns=$2
    while kb_group "$1"; do
        kb_turns=$((kb_turns - 1))
        [ "$kb_turns" -gt 0 ] || return 1
        sleep 0.1
    done
}
kb_alive "$1" "$2" || { echo none; exit 0; }
kill -s TERM -- "-$1"
if kb_wait "$1" 50; then echo ended; exit 0; fi
kill -s KILL -- "-$1"
if kb_wait "$1" 20; then echo killed; else echo stuck; fi
