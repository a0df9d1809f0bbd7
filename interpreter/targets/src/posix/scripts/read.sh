# PATH LIMIT: the file's bytes, one more than LIMIT at most
kb_real "$1"
kb_there "$kb_real" || kb_die 10 "$1: No such file or directory"
[ -f "$kb_real" ] || kb_die 13 "$1: Not a regular file"
kb_size=$(stat -L -c %s -- "$kb_real") || exit 1
[ "$kb_size" -le "$2" ] || kb_die 12 "$1: $kb_size bytes, more than the $2 allowed"
head -c "$(($2 + 1))" -- "$kb_real"
