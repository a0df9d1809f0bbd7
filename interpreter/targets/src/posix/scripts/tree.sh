# PATH...
# Prints fields that end in NUL. For each path: P, the path, its place; for each entry: E, kind, mode, uid, gid,
# size, time, link, SELinux context, path below; then H and sha256sum's lines; then A and getfacl's text.
kb_context=
[ ! -e /sys/fs/selinux/enforce ] || kb_context=%Z
for kb_path; do
    kb_at "$kb_path"
    kb_there "$kb_at" || continue
    printf 'P\0%s\0%s\0' "$kb_path" "$kb_at"
    find "$kb_at" -printf "E\\0%y\\0%m\\0%U\\0%G\\0%s\\0%T@\\0%l\\0$kb_context\\0%P\\0" || exit 1
    printf 'H\0'
    find "$kb_at" -type f -exec sha256sum -- {} + || exit 1
    printf '\0'
    if command -v getfacl >/dev/null; then
        printf 'A\0'
        getfacl -R -P -n -p -s -- "$kb_at" || exit 1
        printf '\0'
    fi
done
