# RUN NAME: prints absent, running PID STARTED, cut, or ended STATUS
kb_state
kb_base=$kb_state/$1/receipts/$2
if ! kb_there "$kb_base.begun"; then echo absent; exit 0; fi
kb_report() {
    if kb_there "$kb_base.ended"; then
        read -r kb_status <"$kb_base.ended" || exit 1
        echo "ended $kb_status"
        exit 0
    fi
}
kb_report
kb_pid= kb_since= kb_boot= kb_wrapper= kb_wrapped= kb_rest=
read -r kb_pid kb_since kb_boot kb_wrapper kb_wrapped kb_rest <"$kb_base.begun" || exit 1
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
