# Functions of every script: the places of paths, and how to fail.
# KB_ROOT is empty on a real host and a sandbox host's folder otherwise.
# Exit statuses: 10 nothing there, 11 something there already, 12 too large, 13 of the wrong kind, 1 the rest.

kb_die() {
    kb_status=$1
    shift
    printf '%s\n' "$*" >&2
    exit "$kb_status"
}

# kb_walk PATH FOLLOW: resolves PATH inside KB_ROOT; a link never leads out of it.
kb_walk() {
    kb_rest=$1
    kb_out=
    kb_links=0
    while [ -n "$kb_rest" ]; do
        case $kb_rest in
            /*) kb_rest=${kb_rest#/}; continue ;;
        esac
        kb_part=${kb_rest%%/*}
        kb_rest=${kb_rest#"$kb_part"}
        case $kb_part in
            .) continue ;;
            ..) kb_out=${kb_out%/*}; continue ;;
        esac
        if [ -L "$KB_ROOT$kb_out/$kb_part" ] && { [ -n "$kb_rest" ] || [ "$2" = 1 ]; }; then
            kb_links=$((kb_links + 1))
            [ "$kb_links" -le 40 ] || kb_die 1 "$1: Too many levels of symbolic links"
            kb_to=$(readlink -n -- "$KB_ROOT$kb_out/$kb_part" && printf x) || kb_die 1 "$1: cannot read the link"
            kb_to=${kb_to%x}
            case $kb_to in
                /*) kb_out= ;;
            esac
            kb_rest=$kb_to$kb_rest
        else
            kb_out=$kb_out/$kb_part
        fi
    done
    kb_out=$KB_ROOT${kb_out:-/}
}

# kb_at PATH: where PATH is; a link in the last place is not followed. Result: $kb_at
kb_at() {
    if [ -z "$KB_ROOT" ]; then kb_at=$1; else kb_walk "$1" 0; kb_at=$kb_out; fi
}

# kb_real PATH: where PATH leads, links followed; the last part need not exist. Result: $kb_real
kb_real() {
    if [ -n "$KB_ROOT" ]; then
        kb_walk "$1" 1
        kb_real=$kb_out
    else
        kb_real=$(readlink -f -n -- "$1" && printf x) || kb_die 10 "$1: No such file or directory"
        kb_real=${kb_real%x}
    fi
}

# kb_there PLACE: whether anything is there; what cannot be told is an error, never "nothing".
kb_there() {
    if [ -e "$1" ] || [ -L "$1" ]; then return 0; fi
    # The shell itself says why a file does not open; for whatever it does not say so plainly there is find.
    case $({ : <"$1"; } 2>&1) in
        *': No such file' | *': No such file or directory' | *': Not a directory') return 1 ;;
    esac
    kb_error=$(find "$1" -maxdepth 0 2>&1 >/dev/null) && return 0
    case $kb_error in
        *': No such file or directory' | *': Not a directory') return 1 ;;
    esac
    kb_die 1 "$kb_error"
}

# kb_sync PLACE...: onto the disk. Before coreutils 8.24 sync takes no operand and syncs everything.
kb_sync() {
    sync -- "$@" 2>/dev/null || sync
}

# kb_parent PLACE: the directory that holds it. Result: $kb_parent
kb_parent() {
    kb_parent=${1%/*}
    kb_parent=${kb_parent:-/}
}
