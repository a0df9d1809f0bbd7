# RUN NAME: prints absent, running PID STARTED, cut, or ended STATUS
# Whoever asks decides by the answer, so "absent" is made to stay true: a command that has not begun finds its
# name taken (see child.sh) and does not begin any more.
kb_claim() {
    kb_receipts "$1"
    kb_claim=$kb_base.never.$$
    echo never >"$kb_claim" && kb_sync "$kb_claim" || exit 1
    ln -T -- "$kb_claim" "$kb_base.begun" 2>/dev/null
    kb_claimed=$?
    rm -f -- "$kb_claim"
    # It may have begun at this very moment.
    [ "$kb_claimed" = 0 ] || kb_there "$kb_base.begun" || kb_die 1 "$kb_base.begun: cannot be created"
    kb_sync "$kb_receipts"
}
kb_state
kb_base=$kb_state/$1/receipts/$2
kb_there "$kb_base.begun" || kb_claim "$1"
kb_report() {
    kb_status=
    if kb_there "$kb_base.ended" && read -r kb_status <"$kb_base.ended" && [ -n "$kb_status" ]; then
        echo "ended $kb_status"
        exit 0
    fi
}
kb_report
kb_pid= kb_since= kb_boot= kb_wrapper= kb_wrapped= kb_rest=
# One that is empty was on its way to the disk when the host went down: what it says is not known.
read -r kb_pid kb_since kb_boot kb_wrapper kb_wrapped kb_rest <"$kb_base.begun" || [ -z "$kb_pid" ] || exit 1
if [ "$kb_pid" = never ]; then echo absent; exit 0; fi
read -r kb_now </proc/sys/kernel/random/boot_id || exit 1
if [ "$kb_boot" = "$kb_now" ]; then
    # The wrapper outlives the command for as long as it takes to write how it ended.
    if kb_alive "$kb_pid" "$kb_since" || kb_alive "$kb_wrapper" "$kb_wrapped"; then
        echo "running $kb_pid $kb_since"
        exit 0
    fi
fi
kb_report
echo cut
