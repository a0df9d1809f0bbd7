# PATH MODE
kb_make() {
    kb_place=$1
    set --
    while [ ! -d "$kb_place" ]; do
        set -- "$kb_place" "$@"
        kb_parent "$kb_place"
        kb_place=$kb_parent
    done
    [ $# -gt 0 ] || return 0
    # Someone else may make one of them meanwhile; then it is there, which is what was asked.
    mkdir -m "$kb_mode" -- "$@" 2>/dev/null || for kb_made; do
        [ -d "$kb_made" ] || mkdir -m "$kb_mode" -- "$kb_made" 2>/dev/null || [ -d "$kb_made" ] ||
            mkdir -m "$kb_mode" -- "$kb_made" || exit 1
    done
    # Each one's name is in the one before.
    kb_sync "$kb_place" "$@"
}
kb_mode=$2
case $1/ in
    /var/lib/keybook/*)
        # The run's folder holds keys and originals: whoever could put a link on the way would get at them.
        kb_user
        kb_own=$KB_ROOT/var/lib/keybook
        kb_below=${1#/var/lib/keybook}/
        kb_asked=$1
        set --
        while [ -n "$kb_below" ] && { [ -e "$kb_own" ] || [ -L "$kb_own" ]; }; do
            # What a link leads to is not looked into.
            if [ -L "$kb_own" ] || [ ! -d "$kb_own" ]; then kb_private "$kb_own"; fi
            set -- "$@" "$kb_own"
            kb_below=${kb_below#/}
            kb_own=$kb_own/${kb_below%%/*}
            kb_below=${kb_below#"${kb_below%%/*}"}
        done
        [ $# = 0 ] || kb_private "$@"
        set -- "$kb_asked"
        ;;
esac
if [ -n "$KB_ROOT" ]; then
    kb_walk "$1" 1
    kb_make "$kb_out"
else
    kb_make "$1"
fi
