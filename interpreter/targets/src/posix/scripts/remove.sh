# PATH
kb_at "$1"
kb_there "$kb_at" || exit 0
if [ -d "$kb_at" ] && [ ! -L "$kb_at" ]; then
    rmdir -- "$kb_at" || exit 1
else
    rm -f -- "$kb_at" || exit 1
fi
kb_parent "$kb_at"
kb_sync "$kb_parent"
