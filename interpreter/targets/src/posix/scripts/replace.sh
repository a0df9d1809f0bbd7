# FROM TO NONCE OTHERS: for the temporary file; OTHERS are nonces in use
kb_attributes() {
    chown --reference="$1" -- "$2" && chmod --reference="$1" -- "$2" || return 1
    if [ -e /sys/fs/selinux/enforce ]; then chcon --reference="$1" -- "$2" || return 1; fi
    if command -v getfacl >/dev/null && command -v setfacl >/dev/null; then
        getfacl -p -- "$1" 2>/dev/null | setfacl --set-file=- -- "$2" || return 1
    fi
    touch -r "$1" -- "$2"
}
kb_at "$1"
kb_from=$kb_at
kb_at "$2"
kb_there "$kb_from" || kb_die 10 "$1: No such file or directory"
kb_parent "$kb_at"
[ -d "$kb_parent" ] || kb_die 10 "$2: its directory does not exist"
if [ -d "$kb_from" ] && [ ! -L "$kb_from" ]; then
    if [ -L "$kb_at" ] || { [ -e "$kb_at" ] && [ ! -d "$kb_at" ]; }; then kb_die 13 "$2: Not a directory"; fi
    [ -d "$kb_at" ] || mkdir -m 700 -- "$kb_at" || exit 1
    kb_attributes "$kb_from" "$kb_at" || exit 1
else
    if [ -d "$kb_at" ] && [ ! -L "$kb_at" ]; then kb_die 13 "$2: Is a directory"; fi
    kb_real=$kb_at
    kb_temporary "$3"
    kb_sweep "$4"
    trap 'rm -f -- "$kb_temp"' EXIT
    trap 'exit 1' HUP INT PIPE TERM
    cp -a --no-dereference -T -- "$kb_from" "$kb_temp" || exit 1
    [ -L "$kb_temp" ] || kb_sync "$kb_temp"
    mv -fT -- "$kb_temp" "$kb_at" || exit 1
fi
kb_sync "$kb_parent"
