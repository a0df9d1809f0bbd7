# PATH MODE
kb_make() {
    if [ -d "$1" ]; then return 0; fi
    kb_parent "$1"
    kb_make "$kb_parent"
    # Someone else may have made it meanwhile; then it is there, which is what was asked.
    mkdir -m "$kb_mode" -- "$1" 2>/dev/null || [ -d "$1" ] || mkdir -m "$kb_mode" -- "$1" || exit 1
    kb_parent "$1"
    kb_sync "$kb_parent"
}
kb_mode=$2
case $1/ in
    /var/lib/keybook/*)
        # The run's folder holds keys and originals: whoever could put a link on the way would get at them.
        kb_user
        kb_own=$KB_ROOT/var/lib/keybook
        kb_below=${1#/var/lib/keybook}/
        while [ -n "$kb_below" ] && { [ -e "$kb_own" ] || [ -L "$kb_own" ]; }; do
            kb_private "$kb_own"
            kb_below=${kb_below#/}
            kb_own=$kb_own/${kb_below%%/*}
            kb_below=${kb_below#"${kb_below%%/*}"}
        done
        ;;
esac
if [ -n "$KB_ROOT" ]; then
    kb_walk "$1" 1
    kb_make "$kb_out"
else
    kb_make "$1"
fi
