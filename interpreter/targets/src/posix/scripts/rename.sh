# FROM TO
kb_at "$1"
kb_from=$kb_at
kb_at "$2"
kb_there "$kb_from" || kb_die 10 "$1: No such file or directory"
if kb_there "$kb_at"; then kb_die 11 "$2: File exists"; fi
kb_parent "$kb_at"
[ -d "$kb_parent" ] || kb_die 10 "$2: its directory does not exist"
# mv would copy between file systems, which is not atomic.
[ "$(stat -c %d -- "$kb_from")" = "$(stat -L -c %d -- "$kb_parent")" ] ||
    kb_die 1 "$2: on another file system than $1"
mv -nT -- "$kb_from" "$kb_at" 2>/dev/null
if kb_there "$kb_from"; then
    # -n refused, because something appeared there meanwhile; or it could not be moved at all.
    if kb_there "$kb_at"; then kb_die 11 "$2: File exists"; fi
    mv -nT -- "$kb_from" "$kb_at" || exit 1
fi
kb_sync "$kb_parent"
kb_parent "$kb_from"
kb_sync "$kb_parent"
