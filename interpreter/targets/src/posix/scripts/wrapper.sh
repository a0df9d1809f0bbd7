# Runs one command in a session of its own and says on both streams, in lines that nobody can guess, when it
# began and how it ended. With a receipt, both are on the disk first. Set before: kb_nonce, kb_length (of the text for
# child.sh, which comes next on standard input), kb_run and kb_name (of the receipt; or empty), kb_vetted (1
# when the folders of this run's receipts were looked at before).
kb_say() {
    printf '\036%s:%s\n' "$kb_nonce" "$1" >&7 2>/dev/null
    printf '\036%s:%s\n' "$kb_nonce" "$1" >&8 2>/dev/null
}
# kb_relayed: whether both relays are through. A zombie is.
kb_relayed() {
    for kb_relay in "$kb_out" "$kb_err"; do
        { read -r kb_line <"/proc/$kb_relay/stat"; } 2>/dev/null || continue
        case ${kb_line##*) } in
            Z*) ;;
            *) return 1 ;;
        esac
    done
}
kb_base=
# Until the command's process is there, nothing can begin any more when this shell gives up.
trap 'exec 7>&1 8>&2; kb_say refused:unrecorded' EXIT
if [ -n "$kb_name" ]; then
    kb_receipts "$kb_run"
    kb_base=$kb_receipts/$kb_name
fi
exec 3<&0
if [ -n "$kb_base" ]; then
    # Relays go on reading the command's output when nobody takes it any more: a lost connection must not end a
    # command half-way through its work. With PIPE ignored, tee goes on with its other output when one is gone.
    kb_fifo=$kb_base.$kb_nonce
    mkfifo -m 600 -- "$kb_fifo.1" "$kb_fifo.2" || exit 1
    (trap '' HUP INT PIPE TERM && exec tee /dev/null <"$kb_fifo.1" 2>/dev/null 3<&-) &
    kb_out=$!
    (trap '' HUP INT PIPE TERM && exec tee /dev/null <"$kb_fifo.2" >&2 2>/dev/null 3<&-) &
    kb_err=$!
    exec 7>"$kb_fifo.1" 8>"$kb_fifo.2"
else
    exec 7>&1 8>&2
fi
trap - EXIT
setsid /bin/sh -c 'eval "$(head -c "$2")"' sh "$kb_base" "$kb_length" <&3 >&7 2>&8 3<&- 7>&- 8>&- &
kb_pid=$!
exec 3<&- </dev/null
# What ends the connection must not keep the receipt from being written.
trap '' HUP INT PIPE TERM
wait "$kb_pid"
kb_status=$?
kb_lost=
kb_end=
if [ -n "$kb_base" ]; then
    kb_mark=
    [ ! -e "$kb_base.begun" ] || read -r kb_mark <"$kb_base.begun"
    case $kb_mark in
        *" $kb_nonce") ;;
        '') kb_end=refused:unrecorded ;;
        never*) kb_end=refused:never ;;
        *) kb_end=refused:twice ;;
    esac
fi
if [ -n "$kb_end" ]; then rm -f -- "$kb_fifo.1" "$kb_fifo.2"; fi
if [ -n "$kb_base" ] && [ -z "$kb_end" ]; then
    # Whoever finds it empty takes it for missing.
    { printf '%s\n' "$kb_status" >"$kb_base.ended" && kb_sync "$kb_base.ended" "${kb_base%/*}"; } 2>/dev/null ||
        kb_lost=:unrecorded
fi
kb_say "${kb_end:-end:$kb_status$kb_lost}"
if [ -n "$kb_base" ]; then
    exec 7>&- 8>&-
    kb_turns=0
    until kb_relayed; do
        kb_turns=$((kb_turns + 1))
        # A child in the background holds the command's streams, and would hold the relays for ever.
        [ "$kb_turns" -le 100 ] || { kill -s KILL "$kb_out" "$kb_err"; break; }
        # Whoever started this has heard the end already.
        [ "$kb_turns" -gt 1 ] && sleep 0.1 || sleep 0.05
    done
fi
