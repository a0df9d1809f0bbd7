# PATH...
# Prints fields that end in NUL. For each path: P, the path, its place; for each entry: E, kind, mode, uid, gid,
# size, time, link, SELinux context, path below; then H and sha256sum's lines; then A and getfacl's text.
# A path that is a link to a directory is followed by that directory, under its own path.
kb_context=
[ ! -e /sys/fs/selinux/enforce ] || kb_context=%Z
command -v sha256sum >/dev/null || kb_die 1 "sha256sum is missing on this host"

# kb_moving COMMAND...: runs what walks a tree in which others work. That a file is gone meanwhile is no error.
kb_moving() {
    { kb_said=$("$@" 2>&1 >&3 3>&-); kb_status=$?; } 3>&1
    [ "$kb_status" != 0 ] || return 0
    [ -n "$kb_said" ] || kb_die 1 "${1##*/} ended with status $kb_status"
    kb_said=$(printf '%s\n' "$kb_said" | grep -v ': No such file or directory$')
    [ -z "$kb_said" ] || kb_die 1 "$kb_said"
}

# kb_show PATH PLACE
kb_show() {
    printf 'P\0%s\0%s\0' "$1" "$2"
    kb_moving find "$2" -printf "E\\0%y\\0%m\\0%U\\0%G\\0%s\\0%T@\\0%l\\0$kb_context\\0%P\\0"
    printf 'H\0'
    kb_moving find "$2" -type f -exec sha256sum -- {} +
    printf '\0'
    if command -v getfacl >/dev/null; then
        printf 'A\0'
        kb_moving getfacl -R -P -n -p -s -- "$2"
        printf '\0'
    fi
}

for kb_path; do
    kb_at "$kb_path"
    kb_there "$kb_at" || continue
    kb_show "$kb_path" "$kb_at"
    [ -L "$kb_at" ] || continue
    # In a shell of its own: a link that leads round in circles is no directory.
    kb_dir=$(kb_real "$kb_path" && printf '%sx' "$kb_real") 2>/dev/null || continue
    kb_dir=${kb_dir%x}
    [ ! -d "$kb_dir" ] || kb_show "${kb_dir#"$KB_ROOT"}" "$kb_dir"
done
