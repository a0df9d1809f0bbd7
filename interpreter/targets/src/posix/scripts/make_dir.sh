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
if [ -n "$KB_ROOT" ]; then
    kb_walk "$1" 1
    kb_make "$kb_out"
else
    kb_make "$1"
fi
