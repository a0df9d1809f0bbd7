# The process that becomes the command: writes the receipt's beginning, says that it begins. What comes after
# this text is the command itself. Set before: kb_nonce. $1: where the receipt goes, or empty.
kb_since() {
    read -r kb_line <"/proc/$1/stat" || exit 125
    # shellcheck disable=SC2086 # fields
    set -- ${kb_line##*) }
    kb_since=${20}
}
kb_since "$$"
kb_own=$kb_since
if [ -n "$1" ]; then
    kb_since "$PPID"
    read -r kb_boot </proc/sys/kernel/random/boot_id || exit 125
    printf '%s %s %s %s %s %s\n' "$$" "$kb_own" "$kb_boot" "$PPID" "$kb_since" "$kb_nonce" >"$1.$$" || exit 125
    # A hard link never replaces anything: a command that has begun once does not begin again.
    ln -T -- "$1.$$" "$1.begun"
    kb_linked=$?
    # The wrapper has opened its pipes, which need no name any more.
    rm -f -- "$1.$$" "$1.$kb_nonce.1" "$1.$kb_nonce.2"
    [ "$kb_linked" = 0 ] || exit 125
    kb_sync "$1.begun" "${1%/*}"
fi
printf '\036%s:begin:%s:%s\n' "$kb_nonce" "$$" "$kb_own"
printf '\036%s:begin:%s:%s\n' "$kb_nonce" "$$" "$kb_own" >&2
