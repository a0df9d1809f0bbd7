# PATH LIMIT
# Prints the path with links of its last part followed; for a file also what it is (as find's %y %m %U %G %s %T@),
# and its bytes, one more than LIMIT at most. The first two end in NUL.
kb_look=$1
kb_left=40
while :; do
    kb_trimmed=$kb_look
    while [ "$kb_trimmed" != "${kb_trimmed%/}" ]; do kb_trimmed=${kb_trimmed%/}; done
    kb_at "${kb_trimmed:-/}"
    [ -L "$kb_at" ] || break
    kb_left=$((kb_left - 1))
    [ "$kb_left" -gt 0 ] || kb_die 1 "too many symbolic links in a row"
    kb_to=$(readlink -n -- "$kb_at" && printf x) || kb_die 1 "$1: cannot read the link"
    kb_to=${kb_to%x}
    case $kb_to in
        /*) kb_look=$kb_to ;;
        *) kb_look=${kb_look%/*}/$kb_to ;;
    esac
done
if ! kb_there "$kb_at"; then
    printf '%s\0' "$kb_look"
    exit 0
fi
[ -f "$kb_at" ] || kb_die 13 "it is not a regular file"
# All links of the way together, as the system counts them.
[ "$kb_left" = 40 ] || { kb_real "$1" && kb_at=$kb_real; }
kb_facts=$(find "$kb_at" -maxdepth 0 -printf '%y %m %U %G %s %T@') || exit 1
kb_size=${kb_facts% *}
kb_size=${kb_size##* }
[ "$kb_size" -le "$2" ] || kb_die 12 "$1: $kb_size bytes, more than the $2 allowed"
printf '%s\0%s\0' "$kb_look" "$kb_facts"
head -c "$(($2 + 1))" -- "$kb_at"
