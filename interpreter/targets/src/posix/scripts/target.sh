# kb_target PATH CREATE_NEW: the file that a write replaces; a link is followed, so that it stays. Result: $kb_real
kb_target() {
    kb_at "$1"
    if [ "$2" = 1 ] && kb_there "$kb_at"; then kb_die 11 "$1: File exists"; fi
    kb_parent "$kb_at"
    [ -d "$kb_parent" ] || kb_die 10 "$1: its directory does not exist"
    kb_real "$1"
    kb_parent "$kb_real"
    [ -d "$kb_parent" ] || kb_die 10 "$1: its directory does not exist"
    if [ -d "$kb_real" ]; then kb_die 13 "$1: Is a directory"; fi
    if kb_there "$kb_real" && [ ! -f "$kb_real" ]; then kb_die 13 "$1: Not a regular file"; fi
}

# kb_temporary NONCE: a place beside $kb_real, known as that file's. It begins with a dot, so that no daemon that
# watches the directory reads it. Result: $kb_temp
kb_temporary() {
    kb_hash=$(printf %s "${kb_real##*/}" | sha256sum) || exit 1
    kb_stem=$kb_parent/.keybook-$(printf %.16s "$kb_hash")-
    kb_temp=$kb_stem$1
}

# kb_sweep NONCES: removes what writes of $kb_real left that were killed; it may be a key. NONCES are in use.
kb_sweep() {
    kb_keeper=
    [ ! -e "$kb_real" ] || kb_keeper=$(stat -c %u -- "$kb_real") || exit 1
    for kb_stale in "$kb_stem"*; do
        kb_tail=${kb_stale#"$kb_stem"}
        case $kb_tail in
            *[!0-9a-f]*) continue ;;
        esac
        [ "${#kb_tail}" = 32 ] && [ -f "$kb_stale" ] && [ ! -L "$kb_stale" ] || continue
        case " $1 " in
            *" $kb_tail "*) continue ;;
        esac
        # Just before the end it is given to the file's owner.
        case " $(id -u) $kb_keeper " in
            *" $(stat -c %u -- "$kb_stale") "*) rm -f -- "$kb_stale" ;;
        esac
    done
}

# kb_finish PATH TEMP SIZE MODE OWNER CREATE_NEW: puts the finished TEMP in the place of $kb_real.
kb_finish() {
    kb_size=$(stat -c %s -- "$2") || exit 1
    [ "$kb_size" = "$3" ] || kb_die 1 "$1: only $kb_size of $3 bytes arrived"
    kb_mode=$4
    if [ -e "$kb_real" ]; then
        kb_old=$(stat -c '%a %u:%g' -- "$kb_real") || exit 1
        if [ -z "$kb_mode" ] || [ "$kb_mode" = "${kb_old% *}" ]; then
            # Mode, ACL, owner, SELinux context and extended attributes at once.
            cp -a --attributes-only -T -- "$kb_real" "$2" || exit 1
        else
            # Not the old mode, even for a moment: it may allow more than the new one.
            cp --attributes-only --preserve=ownership -T -- "$kb_real" "$2" || exit 1
            if [ -e /sys/fs/selinux/enforce ]; then chcon --reference="$kb_real" -- "$2" || exit 1; fi
        fi
        touch -- "$2" || exit 1
        if [ -z "$5" ]; then
            [ "$(stat -c %u:%g -- "$2")" = "${kb_old#* }" ] ||
                kb_die 1 "$1: this login cannot keep its owner ${kb_old#* }"
        fi
    fi
    if [ -n "$5" ]; then
        # A chown clears the set-user-id bits.
        kb_keep=$(stat -c %a -- "$2") && chown -- "$5" "$2" && chmod "$kb_keep" -- "$2" || exit 1
    fi
    if [ -n "$kb_mode" ]; then chmod "$kb_mode" -- "$2" || exit 1; fi
    kb_sync "$2"
    if [ "$6" = 1 ]; then
        # A hard link never replaces anything.
        ln -T -- "$2" "$kb_real" || {
            if kb_there "$kb_real"; then kb_die 11 "$1: File exists"; fi
            exit 1
        }
        rm -f -- "$2"
    else
        mv -fT -- "$2" "$kb_real" || exit 1
    fi
    kb_parent "$kb_real"
    kb_sync "$kb_parent"
}
