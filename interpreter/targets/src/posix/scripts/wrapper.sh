# Runs one command in a session of its own and says on both streams, in lines that nobody can guess, when it
# began and how it ended. With a receipt, both are on the disk first. Set before: kb_nonce, kb_length (of the
# text for child.sh, which comes next on standard input), kb_run and kb_name (of the receipt; or empty).
PATH=${PATH:-}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
kb_say() {
    printf '\036%s:%s\n' "$kb_nonce" "$1" 2>/dev/null
    printf '\036%s:%s\n' "$kb_nonce" "$1" >&2
}
kb_base=
if [ -n "$kb_name" ]; then
    kb_state
    kb_mask=$(umask)
    umask 022
    mkdir -p -- "${kb_state%/*}" || exit 1
    umask 077
    mkdir -p -- "$kb_state/$kb_run/receipts" || exit 1
    umask "$kb_mask"
    kb_base=$kb_state/$kb_run/receipts/$kb_name
fi
exec 3<&0
setsid /bin/sh -c 'eval "$(head -c "$1")"' sh "$kb_length" "$kb_base" <&3 3<&- &
kb_pid=$!
exec 3<&- </dev/null
# What ends the connection must not keep the receipt from being written.
trap '' HUP INT PIPE TERM
wait "$kb_pid"
kb_status=$?
kb_lost=
if [ -n "$kb_base" ]; then
    kb_mark=
    [ ! -e "$kb_base.begun" ] || read -r kb_mark <"$kb_base.begun"
    case $kb_mark in
        *" $kb_nonce") ;;
        '') kb_say refused:unrecorded; exit 0 ;;
        *) kb_say refused:twice; exit 0 ;;
    esac
    umask 077
    { printf '%s\n' "$kb_status" >"$kb_base.ended.new" && kb_sync "$kb_base.ended.new" &&
        mv -fT -- "$kb_base.ended.new" "$kb_base.ended" && kb_sync "${kb_base%/*}"; } || kb_lost=:unrecorded
fi
kb_say "end:$kb_status$kb_lost"
