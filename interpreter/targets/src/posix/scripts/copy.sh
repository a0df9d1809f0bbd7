# FROM TO NONCE OTHERS
kb_at "$1"
kb_from=$kb_at
kb_at "$2"
kb_there "$kb_from" || kb_die 10 "$1: No such file or directory"
if kb_there "$kb_at"; then kb_die 11 "$2: File exists"; fi
kb_parent "$kb_at"
[ -d "$kb_parent" ] || kb_die 10 "$2: its directory does not exist"
kb_temp=$kb_parent/.keybook-$3
trap 'rm -rf -- "$kb_temp"' EXIT
trap 'exit 1' HUP INT PIPE TERM
cp -a --no-dereference -T -- "$kb_from" "$kb_temp" || exit 1
sync -f -- "$kb_temp" 2>/dev/null || sync
mv -nT -- "$kb_temp" "$kb_at" 2>/dev/null
if kb_there "$kb_temp"; then
    # -n refused, because something appeared there meanwhile; or it could not be moved at all.
    if kb_there "$kb_at"; then kb_die 11 "$2: File exists"; fi
    mv -nT -- "$kb_temp" "$kb_at" || exit 1
fi
kb_sync "$kb_parent"
