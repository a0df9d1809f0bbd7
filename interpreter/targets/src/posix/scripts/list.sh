# PATH
kb_real "$1"
kb_there "$kb_real" || kb_die 10 "$1: No such file or directory"
[ -d "$kb_real" ] || kb_die 13 "$1: Not a directory"
find "$kb_real" -mindepth 1 -maxdepth 1 -printf '%f\0'
